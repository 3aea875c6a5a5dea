package main

import (
	"context"

	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// registries implement snapshot.Resolver. A client keeps tokens, which expire, so each use gets its own.
type registries struct{}

func (registries) client() *image.Client {
	return image.NewClient(image.Options{UserAgent: "larder"})
}

// Resolve implements snapshot.Resolver.
func (r registries) Resolve(ctx context.Context, reference string, platforms []string) (*image.Image, error) {
	return r.client().Resolve(ctx, reference, platforms)
}

// snapshotBuilder makes volumes in this process and uploads them; it implements snapshot.Builder.
type snapshotBuilder struct {
	registries registries
	snapshots  *ebs.Client
}

// Build implements snapshot.Builder.
func (b *snapshotBuilder) Build(ctx context.Context, request snapshot.BuildRequest) (snapshot.BuildResult, error) {
	var built snapshot.BuildResult
	result, err := volume.Make(ctx, volume.Request{
		Format: request.Format,
		Images: request.Images,
		Size:   request.VolumeSize,
		Layers: b.registries.client(),
		Parent: b.parent(request.Parent),
		Create: func(ctx context.Context, size int64, parent volume.RawDisk) (volume.Output, error) {
			input := ebs.StartInput{
				VolumeSize:  size,
				Tags:        request.Tags,
				Description: request.Description,
				Attempt:     int(request.Attempt),
			}
			if parent != nil {
				input.ParentSnapshotID = request.Parent
			}
			upload, err := startUpload(ctx, b.snapshots, input)
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
	built.WithoutParent = result.WithoutParent
	return built, nil
}

func (b *snapshotBuilder) parent(id string) *volume.Parent {
	if id == "" {
		return nil
	}
	return &volume.Parent{Name: id, Open: func(ctx context.Context) (volume.RawDisk, error) {
		disk, err := b.snapshots.Open(ctx, id)
		if err != nil {
			return nil, err
		}
		return disk, nil
	}}
}
