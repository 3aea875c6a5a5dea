package binding

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
)

// SnapshotSource finds the snapshots that bindings ask for, by this cluster's ImageCacheSnapshots, by SSM parameters or
// by their ids, and asks AWS whether nodes can boot with them. All fields but Owners are required. It is safe for
// concurrent use.
type SnapshotSource struct {
	// Client reads ImageCacheSnapshots from the cache.
	Client client.Reader
	// Snapshots, Keys and Parameters are those of the operator's Region.
	Snapshots  Snapshots
	Keys       Keys
	Parameters Parameters
	// Account returns the twelve-digit id of the operator's own account. Once it has answered it is not asked again.
	Account func(context.Context) (string, error)
	// Owners are the twelve-digit ids of the accounts, beside the own one, whose snapshots nodes may boot with.
	Owners []string
	// Region is the operator's.
	Region string
	// Clock says when AWS is asked again.
	Clock clock.PassiveClock

	memory  memory
	account struct {
		sync.Mutex
		id string
	}
}

// Snapshots looks at EBS snapshots; ebs.Client does.
type Snapshots interface {
	// Describe returns a snapshot, or an error for which IsNotFound of internal/aws holds.
	Describe(ctx context.Context, id string) (ebs.Snapshot, error)
	// FastRestores returns the fast snapshot restores of these snapshots.
	FastRestores(ctx context.Context, ids []string) ([]ebs.FastRestore, error)
}

// Keys looks at KMS keys; kms.Client does.
type Keys interface {
	// Describe returns a key, or an error for which IsNotFound of internal/aws holds.
	Describe(ctx context.Context, keyID string) (kms.Key, error)
	// Grantees returns the principals that a key has grants for; never nil without an error.
	Grantees(ctx context.Context, keyARN string) ([]string, error)
}

// Parameters reads SSM's Parameter Store; ssm.Client does.
type Parameters interface {
	// Value returns a parameter's value, or an error for which IsNotFound of internal/aws holds.
	Value(ctx context.Context, name string) (string, error)
}

// Wanted implements Source. The error is that of reading an ImageCacheSnapshot, or of the context.
func (s *SnapshotSource) Wanted(ctx context.Context, binding *v1alpha1.NodeClassBinding) (Snapshot, *Problem, error) {
	from := binding.Spec.Snapshot
	switch {
	case from.Ref != nil:
		object, err := s.object(ctx, binding)
		if err != nil {
			return Snapshot{}, nil, err
		}
		if problem := s.unusable(from.Ref.Name, object); problem != nil {
			return made(object), problem, nil
		}
		return s.look(ctx, binding, object, object.Status.SnapshotID)
	case from.SSMParameter != "":
		named, problem, err := s.published(ctx, binding)
		if problem != nil || err != nil {
			return named, problem, err
		}
		return s.look(ctx, binding, nil, named.ID)
	default:
		return s.look(ctx, binding, nil, from.ID)
	}
}

// ByID implements Source. The error is that of reading an ImageCacheSnapshot, or of the context.
func (s *SnapshotSource) ByID(ctx context.Context, binding *v1alpha1.NodeClassBinding, id string) (Snapshot, *Problem, error) {
	object, err := s.object(ctx, binding)
	if err != nil {
		return Snapshot{}, nil, err
	}
	return s.look(ctx, binding, object, id)
}

// object returns the ImageCacheSnapshot that a binding refers to; nil for one that does not exist, and for a snapshot of
// another origin.
func (s *SnapshotSource) object(ctx context.Context, binding *v1alpha1.NodeClassBinding) (*v1alpha1.ImageCacheSnapshot, error) {
	if binding.Spec.Snapshot.Ref == nil {
		return nil, nil
	}
	name := binding.Spec.Snapshot.Ref.Name
	object := &v1alpha1.ImageCacheSnapshot{}
	err := s.Client.Get(ctx, client.ObjectKey{Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ImageCacheSnapshot %s: %w", name, err)
	}
	return object, nil
}

// unusable says why the ImageCacheSnapshot has no snapshot to boot with; nil when it has one. A renewal, or a build for a
// changed spec, leaves the last completed snapshot usable: nodes that boot with yesterday's images are better off than
// nodes that boot with none. One that is being deleted is not: EBS will soon not know it.
func (s *SnapshotSource) unusable(name string, object *v1alpha1.ImageCacheSnapshot) *Problem {
	switch {
	case object == nil:
		return &Problem{
			Reason:  v1alpha1.ReasonSnapshotMissing,
			Message: fmt.Sprintf("ImageCacheSnapshot %s does not exist: create it, or name another in spec.snapshot.ref", name),
		}
	case !object.DeletionTimestamp.IsZero():
		return &Problem{
			Reason: v1alpha1.ReasonSnapshotNotReady,
			Message: fmt.Sprintf("ImageCacheSnapshot %s is being deleted, and waits for this binding: name another in "+
				"spec.snapshot.ref, or delete this binding", name),
		}
	case object.Status.SnapshotID == "" || object.Status.VolumeSize == nil:
		return &Problem{
			Reason: v1alpha1.ReasonSnapshotNotReady,
			Message: fmt.Sprintf("ImageCacheSnapshot %s has no completed snapshot yet: its own conditions say how far it is",
				name),
		}
	case object.Status.Region != "" && object.Status.Region != s.Region:
		return &Problem{
			Reason:  v1alpha1.ReasonSnapshotInOtherRegion,
			Stalled: true,
			Message: fmt.Sprintf("ImageCacheSnapshot %s has its snapshot in %s, and this operator works in %s: have it copied "+
				"by spec.copies and name the copy in spec.snapshot.id, or build one here", name, object.Status.Region, s.Region),
		}
	}
	return nil
}

// published returns the snapshot that the binding's parameter names, of which only the id is known.
func (s *SnapshotSource) published(ctx context.Context, binding *v1alpha1.NodeClassBinding) (Snapshot, *Problem, error) {
	name := binding.Spec.Snapshot.SSMParameter
	return s.recall(ctx, binding, "parameter "+name, func() (Snapshot, *Problem) {
		value, err := s.Parameters.Value(ctx, name)
		if aws.IsNotFound(err) {
			return Snapshot{}, &Problem{
				Reason: v1alpha1.ReasonParameterNotFound,
				Message: fmt.Sprintf("SSM parameter %s does not exist in %s: publish a snapshot's id there, or name another in "+
					"spec.snapshot.ssmParameter", name, s.Region),
			}
		}
		if err != nil {
			return Snapshot{}, s.refusal(fmt.Sprintf("reading SSM parameter %s", name), err)
		}
		id := strings.TrimSpace(value)
		if !snapshotID.MatchString(id) {
			return Snapshot{}, &Problem{
				Reason:  v1alpha1.ReasonParameterInvalid,
				Stalled: true,
				// The value may be anything, a secret too.
				Message: fmt.Sprintf("SSM parameter %s in %s has a value of %d characters that is no snapshot's id: publish one, "+
					"like snap-0123456789abcdef0, as plain String, or name another in spec.snapshot.ssmParameter",
					name, s.Region, len([]rune(value))),
			}
		}
		return Snapshot{ID: id}, nil
	})
}

// snapshotID is what EBS calls a snapshot: the short form is of before 2016.
var snapshotID = regexp.MustCompile(`^snap-([0-9a-f]{8}|[0-9a-f]{17})$`)

// look asks AWS about a snapshot, and adds what the ImageCacheSnapshot tells of it that made it, if one did.
func (s *SnapshotSource) look(
	ctx context.Context, binding *v1alpha1.NodeClassBinding, object *v1alpha1.ImageCacheSnapshot, id string,
) (Snapshot, *Problem, error) {
	found, problem, err := s.recall(ctx, binding, "snapshot "+id, func() (Snapshot, *Problem) { return s.available(ctx, id) })
	if err != nil {
		return Snapshot{}, nil, err
	}
	current := object != nil && object.Status.SnapshotID == id
	if problem != nil && problem.Reason == v1alpha1.ReasonSnapshotNotFound && current {
		problem.Stalled = false
		problem.Message = fmt.Sprintf("snapshot %s of ImageCacheSnapshot %s is not in %s any more: another is made unless its "+
			"spec.suspend is set", id, object.Name, s.Region)
	}
	return told(found, object), problem, nil
}

// made returns what the ImageCacheSnapshot knows of its current snapshot.
func made(object *v1alpha1.ImageCacheSnapshot) Snapshot {
	if object == nil {
		return Snapshot{}
	}
	return told(Snapshot{ID: object.Status.SnapshotID}, object)
}

// told adds what the ImageCacheSnapshot knows of a snapshot that it made.
func told(found Snapshot, object *v1alpha1.ImageCacheSnapshot) Snapshot {
	if object == nil || found.ID == "" {
		return found
	}
	if stored := storedBytes(object)[found.ID]; stored > 0 {
		found.StoredBytes = stored
	}
	if object.Status.SnapshotID != found.ID {
		return found
	}
	if object.Status.Format != "" {
		found.Format = object.Status.Format
	}
	if platforms := platformsOf(object); len(platforms) > 0 {
		found.Platforms = platforms
	}
	return found
}

// storedBytes returns what each snapshot holds that the ImageCacheSnapshot keeps, by its id.
func storedBytes(object *v1alpha1.ImageCacheSnapshot) map[string]int64 {
	stored := map[string]int64{}
	for _, revision := range object.Status.Revisions {
		stored[revision.SnapshotID] = revision.StoredBytes
	}
	return stored
}

// platformsOf returns the platforms of the current revision, sorted. A status that does not have them is of an older
// Larder, which made what the spec asked for.
func platformsOf(object *v1alpha1.ImageCacheSnapshot) []string {
	var platforms []string
	for _, image := range object.Status.Images {
		platforms = append(platforms, image.Platforms...)
	}
	if len(platforms) == 0 {
		for _, platform := range object.Spec.Platforms {
			platforms = append(platforms, string(platform))
		}
	}
	slices.Sort(platforms)
	return slices.Compact(platforms)
}
