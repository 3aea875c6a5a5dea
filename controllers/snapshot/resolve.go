package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/image"
)

const (
	// resolveParallel is how many images are resolved at once: most of the time is waiting for registries, and
	// some of them limit the requests of one address.
	resolveParallel = 8
	// resolveTimeout bounds a pass that meets a registry which does not answer. It holds 4 attempts of an
	// ordinary connection, for each of 100 images.
	resolveTimeout = time.Minute

	// contentVersion changes when the same images have to be built again because the volume's format changed.
	contentVersion = 1

	gibibyte = 1 << 30
)

// resolution is what the references of one generation of the spec point at.
type resolution struct {
	generation int64
	images     []image.Image
	// statuses has one entry for each image, in the order of the spec.
	statuses []larderv1alpha1.ImageStatus
	// contentHash is 64 hexadecimal digits.
	contentHash string
	// missing says which images lack which of the wanted platforms; it may be empty.
	missing string
}

// resolve asks the registries. Each image is tried, so that a user learns of all mistakes at once.
func (r *Reconciler) resolve(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) (*resolution, *failure) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	wanted := platformsOf(object.Spec)
	found := make([]*image.Image, len(object.Spec.Images))
	errs := make([]error, len(object.Spec.Images))
	var group errgroup.Group
	group.SetLimit(resolveParallel)
	for i, cached := range object.Spec.Images {
		group.Go(func() error {
			if found[i], errs[i] = r.Resolver.Resolve(ctx, cached.Image, wanted); errs[i] != nil {
				errs[i] = fmt.Errorf("spec.images[%d]: %w", i, errs[i])
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	if first := slices.IndexFunc(errs, func(err error) bool { return err != nil }); first >= 0 {
		failed := imageFailure(errs[first])
		all := errors.Join(errs...)
		failed.err, failed.message = all, clip(strings.ReplaceAll(all.Error(), "\n", "; "))
		return nil, failed
	}
	return newResolution(object, found), nil
}

func platformsOf(spec larderv1alpha1.ImageCacheSnapshotSpec) []string {
	platforms := make([]string, len(spec.Platforms))
	for i, platform := range spec.Platforms {
		platforms[i] = string(platform)
	}
	return platforms
}

func newResolution(object *larderv1alpha1.ImageCacheSnapshot, found []*image.Image) *resolution {
	resolved := &resolution{generation: object.Generation}
	var missing []string
	for i, one := range found {
		reference := object.Spec.Images[i].Image
		resolved.images = append(resolved.images, *one)
		resolved.statuses = append(resolved.statuses, imageStatus(reference, one))
		if len(one.MissingPlatforms) > 0 {
			missing = append(missing, fmt.Sprintf("%s has no %s", reference, strings.Join(one.MissingPlatforms, ", ")))
		}
	}
	resolved.missing = clip(strings.Join(missing, "; "))
	resolved.contentHash = contentHash(object.Spec, resolved.images)
	return resolved
}

func imageStatus(reference string, resolved *image.Image) larderv1alpha1.ImageStatus {
	status := larderv1alpha1.ImageStatus{Image: reference, Digest: resolved.Target.Digest.String()}
	var size int64
	for _, manifest := range resolved.Manifests {
		status.Platforms = append(status.Platforms, manifest.Platform)
		for _, layer := range manifest.Layers {
			size += layer.Descriptor.Size
		}
	}
	status.Size = resource.NewQuantity(size, resource.BinarySI)
	return status
}

// contentHash identifies what a volume is asked to hold. The order of images and platforms does not count: it
// changes where things lie, but not what a node finds.
func contentHash(spec larderv1alpha1.ImageCacheSnapshotSpec, images []image.Image) string {
	type content struct {
		Version    int
		Format     larderv1alpha1.Format
		Platforms  []string
		VolumeSize int64
		Images     []string
	}
	of := content{
		Version:    contentVersion,
		Format:     spec.Format,
		Platforms:  slices.Sorted(slices.Values(platformsOf(spec))),
		VolumeSize: volumeSizeOf(spec),
	}
	for _, one := range images {
		var manifests []string
		for _, manifest := range one.Manifests {
			manifests = append(manifests, manifest.Platform+" "+manifest.Descriptor.Digest.String())
		}
		slices.Sort(manifests)
		name := []string{one.Repository, one.Tag, one.Target.Digest.String()}
		of.Images = append(of.Images, strings.Join(append(name, manifests...), " "))
	}
	slices.Sort(of.Images)
	encoded, err := json.Marshal(of)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// volumeSizeOf is in GiB; 0 has it computed. The API admits whole GiB only.
func volumeSizeOf(spec larderv1alpha1.ImageCacheSnapshotSpec) int64 {
	if spec.VolumeSize == nil {
		return 0
	}
	return spec.VolumeSize.Value() / gibibyte
}

func gibibytes(count int64) *resource.Quantity {
	return resource.NewQuantity(count*gibibyte, resource.BinarySI)
}
