package snapshot

import (
	"context"

	"github.com/opencontainers/go-digest"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// Registries give access to images with the credentials of some pull secrets.
type Registries interface {
	// Resolver reads the named Secrets of the operator's namespace. A Secret that is missing or of no use is an
	// *PullSecretError.
	Resolver(ctx context.Context, pullSecrets []string) (Resolver, error)
}

// Resolver finds what image references mean now. It reports an *image.Error for whatever is the image's or the
// registry's fault.
type Resolver interface {
	// Digest asks one question at most: what a reference points at.
	Digest(ctx context.Context, reference string) (digest.Digest, error)
	// Resolve also reads the manifests, for platforms such as "linux/amd64".
	Resolve(ctx context.Context, reference string, platforms []string) (*image.Image, error)
	// Tags lists a repository's.
	Tags(ctx context.Context, repository string) ([]string, error)
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

// References tell who may still use snapshots.
type References interface {
	List(ctx context.Context, consumers ...references.Consumers) (references.References, error)
}

// Distribution keeps what is made of the current snapshot beside it; distribution.Distributor does.
type Distribution interface {
	Pass(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, current ebs.Snapshot, superseded []ebs.Snapshot) distribution.Outcome
	Commit(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, outcome distribution.Outcome) error
	Withdraw(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) error
}

// Collection deletes what nobody may use any more; collection.Collector does.
type Collection interface {
	// Wake asks for a sweep soon.
	Wake()
	// Retain records that an object's snapshots are left to people. It makes no call to AWS.
	Retain(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) error
}

// Contents tell what is in a snapshot.
type Contents interface {
	// Layout reads the layout record that a build has left in the volume.
	Layout(ctx context.Context, snapshotID string) (*volume.Layout, error)
}

// Keys are the KMS keys of the operator's Region.
type Keys interface {
	// Describe takes a key's id, ARN or alias.
	Describe(ctx context.Context, keyID string) (kms.Key, error)
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
	// PullSecrets name the Secrets of the operator's namespace that the layers are fetched with.
	PullSecrets []string
	Format      volume.Format
	// VolumeSize is in GiB; 0 has it computed from the images.
	VolumeSize int64
	// KMSKeyARN is the key to encrypt with; empty for the account's setting. A child is encrypted as its parent.
	KMSKeyARN string
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
	// StoredBytes are in use on the volume, FetchedBytes of compressed layers were downloaded, and WrittenBytes
	// were sent to EBS.
	StoredBytes, FetchedBytes, WrittenBytes int64
	// WithoutParent is why the parent was not used, nil if it was or there was none.
	WithoutParent error
}
