package snapshot

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// contents are what the status tells of the volume in the current snapshot.
type contents struct {
	format larderv1alpha1.Format
	images []larderv1alpha1.ImageStatus
}

// contentsOf returns what is in a snapshot that becomes the current one, or nil when the status has that already. What
// this process did not resolve itself, as after a rollback or a restart, is read from the snapshot.
func (r *Reconciler) contentsOf(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, f *facts, current *ebs.Snapshot) (*contents, *failure) {
	if f.resolution != nil && f.resolution.contentHash == current.Tags[ebs.TagContentHash] {
		return &contents{format: object.Spec.Format, images: f.resolution.statuses}, nil
	}
	if current.ID == f.status.SnapshotID && len(f.status.Images) > 0 {
		return nil, nil
	}
	layout, err := r.Contents.Layout(ctx, current.ID)
	if err != nil {
		err = fmt.Errorf("reading what is in snapshot %s: %w", current.ID, err)
		if larderaws.IsCall(err) {
			return nil, awsFailure(err)
		}
		return nil, failure{reason: larderv1alpha1.ReasonSnapshotUnreadable, needsPerson: true}.with(err)
	}
	return &contents{format: larderv1alpha1.Format(layout.Format), images: imagesOf(object.Spec, layout)}, nil
}

// ContentsTags returns the tags by which whoever binds a snapshot in another cluster knows what is in it, as far as that
// is known before it is made.
func ContentsTags(format volume.Format, images []image.Image) map[string]string {
	contents := ebs.Contents{Format: string(format)}
	for _, one := range images {
		for _, manifest := range one.Manifests {
			contents.Platforms = append(contents.Platforms, manifest.Platform)
		}
	}
	return contents.Tags()
}

// imagesOf names the images of a volume as the spec does, where it has them.
func imagesOf(spec larderv1alpha1.ImageCacheSnapshotSpec, layout *volume.Layout) []larderv1alpha1.ImageStatus {
	byPolicy := map[string]larderv1alpha1.CachedImage{}
	for _, cached := range spec.Images {
		if cached.TagPolicy != nil {
			byPolicy[cached.Image] = cached
		}
	}
	statuses := make([]larderv1alpha1.ImageStatus, len(layout.Images))
	for i, one := range layout.Images {
		statuses[i] = larderv1alpha1.ImageStatus{
			Image:     one.Reference,
			Digest:    one.Digest.String(),
			Platforms: one.Platforms,
			Size:      resource.NewQuantity(one.Size, resource.BinarySI),
		}
		for repository, cached := range byPolicy {
			if tag := chosenTag(cached, one.Reference); tag != one.Reference {
				statuses[i].Image, statuses[i].Tag = repository, tag
			}
		}
	}
	return statuses
}
