package builder

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/volume"
)

// InProcess makes volumes in this process and uploads them. All fields are required.
type InProcess struct {
	Registries *snapshot.PullSecrets
	Snapshots  *ebs.Client
}

var (
	_ snapshot.Builder  = (*InProcess)(nil)
	_ snapshot.Contents = (*InProcess)(nil)
)

// Layout implements snapshot.Contents.
func (b *InProcess) Layout(ctx context.Context, snapshotID string) (*volume.Layout, error) {
	disk, err := b.Snapshots.Open(ctx, snapshotID)
	if err != nil {
		return nil, err
	}
	return volume.ReadLayout(disk, disk.Size())
}

// Build implements snapshot.Builder.
func (b *InProcess) Build(ctx context.Context, request snapshot.BuildRequest) (snapshot.BuildResult, error) {
	layers, err := b.Registries.Client(ctx, request.PullSecrets)
	if err != nil {
		return snapshot.BuildResult{}, err
	}
	var built snapshot.BuildResult
	result, err := volume.Make(ctx, volume.Request{
		Format: request.Format,
		Images: request.Images,
		Size:   request.VolumeSize,
		Layers: layers,
		Parent: b.parent(request.Parent),
		Create: func(ctx context.Context, size int64, parent volume.RawDisk) (volume.Output, error) {
			input := ebs.StartInput{
				VolumeSize:  size,
				Tags:        request.Tags,
				Description: request.Description,
				KMSKeyARN:   request.KMSKeyARN,
				Attempt:     int(request.Attempt),
			}
			if parent != nil {
				input.ParentSnapshotID = request.Parent
			}
			upload, err := StartUpload(ctx, b.Snapshots, input)
			if err != nil {
				return nil, err
			}
			built = snapshot.BuildResult{SnapshotID: upload.SnapshotID, VolumeSize: size}
			request.Started(built.SnapshotID, built.VolumeSize)
			return upload, nil
		},
		Progress: func(read, total int64) { request.Progress(int(read * 100 / max(total, 1))) },
	})
	if err != nil {
		return snapshot.BuildResult{}, err
	}
	built.StoredBytes, built.FetchedBytes = result.Layout.Used(), result.LayerBytes
	built.WrittenBytes = result.Blocks * volume.BlockSize
	if err := TagStored(ctx, b.Snapshots, built.SnapshotID, result.Layout); err != nil {
		// The snapshot is as good without.
		log.FromContext(ctx).Error(err, "Other clusters are not told how full a snapshot is", "snapshotID", built.SnapshotID)
	}
	built.WithoutParent = result.WithoutParent
	return built, nil
}

// TagStored puts on a completed snapshot what is known only once it is made: how much of the volume is in use.
func TagStored(ctx context.Context, snapshots *ebs.Client, id string, layout *volume.Layout) error {
	return snapshots.Tag(ctx, id, ebs.Contents{StoredBytes: layout.Used()}.Tags())
}

func (b *InProcess) parent(id string) *volume.Parent {
	if id == "" {
		return nil
	}
	return &volume.Parent{Name: id, Open: func(ctx context.Context) (volume.RawDisk, error) {
		disk, err := b.Snapshots.Open(ctx, id)
		if err != nil {
			return nil, err
		}
		return disk, nil
	}}
}

// StartUpload begins a snapshot. The error of one that cannot be a child of its parent is a *volume.ParentError: it can
// be made without.
func StartUpload(ctx context.Context, snapshots *ebs.Client, input ebs.StartInput) (*ebs.Upload, error) {
	upload, err := snapshots.Start(ctx, input)
	if errors.Is(err, ebs.ErrParentUnusable) {
		return nil, &volume.ParentError{Err: err}
	}
	return upload, err
}
