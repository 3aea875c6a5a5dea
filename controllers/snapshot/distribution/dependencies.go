package distribution

import (
	"context"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/ssm"
)

// Home is EBS in the operator's own Region.
type Home interface {
	// Tag puts tags on a snapshot, in place of those with the same keys.
	Tag(ctx context.Context, id string, tags map[string]string) error
	// SharedWith returns the accounts that may make volumes of a snapshot.
	SharedWith(ctx context.Context, id string) ([]string, error)
	// Share adds accounts to those, and removes some.
	Share(ctx context.Context, id string, add, remove []string) error
	// RegionEnabled tells whether the account may use a Region. A name that is no Region's is refused.
	RegionEnabled(ctx context.Context, region string) (bool, error)
}

// FastRestores is fast snapshot restore in the operator's own Region.
type FastRestores interface {
	// FastRestores returns the state of each of these snapshots in each zone where it ever was enabled, as far as
	// AWS remembers.
	FastRestores(ctx context.Context, ids []string) ([]ebs.FastRestore, error)
	EnableFastRestore(ctx context.Context, id string, zones []string) error
	DisableFastRestore(ctx context.Context, id string, zones []string) error
}

// Copies is EBS in another Region.
type Copies interface {
	// Find returns the snapshots that carry all of these tags, the oldest first. One of the last ebs.AppearsWithin
	// may be absent.
	Find(ctx context.Context, tags map[string]string) ([]ebs.Snapshot, error)
	// Describe returns one, or an error for which IsNotFound of internal/aws holds.
	Describe(ctx context.Context, id string) (ebs.Snapshot, error)
	// Copy starts a copy and returns its id. It is never repeated when its outcome is unknown.
	Copy(ctx context.Context, input ebs.CopyInput) (string, error)
	// Delete deletes one; a snapshot that does not exist is no error.
	Delete(ctx context.Context, id string) error
}

// Keys are the KMS keys of one Region.
type Keys interface {
	// Describe returns one, or an error for which IsNotFound or IsKeyUnusable of internal/aws holds.
	Describe(ctx context.Context, keyID string) (kms.Key, error)
}

// Parameters are the SSM parameters of the operator's own Region.
type Parameters interface {
	// Get returns one, or an error for which IsNotFound of internal/aws holds.
	Get(ctx context.Context, name string) (ssm.Parameter, error)
	// Create makes one that does not exist yet.
	Create(ctx context.Context, name, value, description string, tags map[string]string) error
	// Update changes the value of one that exists.
	Update(ctx context.Context, name, value string) error
	// Delete deletes one; a parameter that does not exist is no error.
	Delete(ctx context.Context, name string) error
}
