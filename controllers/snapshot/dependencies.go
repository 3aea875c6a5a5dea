package snapshot

import (
	"context"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// Resolver finds what an image reference means now, for platforms such as "linux/amd64". It reports an
// *image.Error for whatever is the image's or the registry's fault.
type Resolver interface {
	Resolve(ctx context.Context, reference string, platforms []string) (*image.Image, error)
}

// Snapshots are the EBS snapshots of the operator's account and Region.
type Snapshots interface {
	// Find returns those that carry all of these tags, the oldest first. A snapshot of the last
	// ebs.AppearsWithin may be absent.
	Find(ctx context.Context, tags map[string]string) ([]ebs.Snapshot, error)
	// Describe returns one, or an error for which IsNotFound of internal/aws holds.
	Describe(ctx context.Context, id string) (ebs.Snapshot, error)
	// Delete deletes one; a snapshot that does not exist is no error.
	Delete(ctx context.Context, id string) error
}

// Builder writes volumes to EBS.
type Builder interface {
	// Build starts a snapshot, writes it and returns once EBS has accepted its completion, which EBS itself
	// ends later. After an error, a cancelled context among them, it has deleted the snapshot that it started.
	Build(ctx context.Context, request BuildRequest) (BuildResult, error)
}

// BuildRequest says what to build.
type BuildRequest struct {
	Images []image.Image
	Format volume.Format
	// VolumeSize is in GiB; 0 has it computed from the images.
	VolumeSize int64
	// Parent is the id of an earlier snapshot of the same object, whose unchanged layers are neither read nor
	// written; empty for none. A parent that cannot be used is done without.
	Parent string
	// Tags are put on the snapshot in the call that makes it.
	Tags map[string]string
	// Description is what people see of the snapshot in AWS.
	Description string
	// Attempt makes another snapshot of otherwise equal requests.
	Attempt int64
	// Started is called as soon as AWS has named the snapshot, and again if the build deletes it and starts over
	// with another size or without the parent; volumeSize is in GiB.
	Started func(snapshotID string, volumeSize int64)
	// Progress is called with the percentage of the layers' compressed bytes that was read, from any goroutine.
	Progress func(percent int)
}

// BuildResult is a snapshot that EBS is completing.
type BuildResult struct {
	SnapshotID string
	// VolumeSize is in GiB.
	VolumeSize int64
	// WithoutParent is why the parent was not used, nil if it was or there was none.
	WithoutParent error
}
