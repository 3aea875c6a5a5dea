package distribution

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// Distributor keeps what is made of current revisions beside their snapshots. All fields are required. It remembers
// nothing: what matters is in the object and in AWS.
type Distributor struct {
	Home         Home
	FastRestores FastRestores
	// Elsewhere returns EBS in another Region, whether or not there is such a Region.
	Elsewhere func(region string) Copies
	// Keys returns the KMS keys of a Region, whether or not there is such a Region.
	Keys       func(region string) Keys
	Parameters Parameters

	// Client writes, and Reader reads what stands now: a cache may lack what was just written.
	Client client.Client
	Reader client.Reader
	// Namespace is the operator's, in which ConfigMaps are published.
	Namespace string

	// Region is the operator's.
	Region string
	// ClusterUID is the UID of the kube-system namespace.
	ClusterUID types.UID
	Clock      clock.PassiveClock
}

// Outcome is how a Pass went, and what is left for Commit.
type Outcome struct {
	// Problems are those of all Regions, accounts, zones and places; each is in a condition too, unless the spec no
	// longer asks for what could not be taken back.
	Problems []Problem
	// After is when to look again; 0 means not before something changes.
	After time.Duration

	// places are to be named by the object, before anything is published there or after it was withdrawn; nil
	// where they are already.
	places *places
	// starts are the copies to ask for.
	starts []copyStart
}

// fail adds problems, each once: several conditions may have the same.
func (o *Outcome) fail(problems ...Problem) {
	for _, one := range problems {
		told := func(other Problem) bool { return other.Message == one.Message }
		if !slices.ContainsFunc(o.Problems, told) {
			o.Problems = append(o.Problems, one)
		}
	}
}

// lookAgain makes After no longer than this; 0 is no wish.
func (o *Outcome) lookAgain(after time.Duration) {
	if after > 0 && (o.After == 0 || after < o.After) {
		o.After = after
	}
}

// pass is one pass over one object.
type pass struct {
	*Distributor
	now time.Time
	// object gets its new status; written is the one that was read.
	object  *larderv1alpha1.ImageCacheSnapshot
	written larderv1alpha1.ImageCacheSnapshotStatus
	current ebs.Snapshot
	// superseded are the object's other snapshots.
	superseded []ebs.Snapshot
	// unexposed is why nobody may learn of the current snapshot now, or nil.
	unexposed  *Problem
	conditions conditions
	outcome    Outcome
}

// Pass looks, and does what is due and can be done without waiting. It writes status.copies,
// status.fastSnapshotRestore and the conditions CopiesReady, Shared, FastSnapshotRestoreReady and Published into the
// object, which its caller writes before it calls Commit. The current snapshot is empty while there is none; superseded
// are the object's other revisions in the operator's Region.
func (d *Distributor) Pass(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, current ebs.Snapshot, superseded []ebs.Snapshot) Outcome {
	now := d.Clock.Now()
	p := &pass{
		Distributor: d, now: now, object: object, written: *object.Status.DeepCopy(),
		current: current, superseded: superseded,
		conditions: conditions{status: &object.Status, generation: object.Generation, now: now},
	}
	p.current.Tags = maps.Clone(current.Tags)
	p.conditions.forget(object.Spec)
	if current.State != ebs.StateCompleted {
		p.conditions.wait(object.Spec)
		return p.outcome
	}
	regions := p.planCopies(ctx)
	p.unexposed = p.expose(ctx, regions)
	p.reportCopies(regions)
	p.share(ctx)
	p.unshareSuperseded(ctx)
	p.publish(ctx)
	p.restore(ctx)
	return p.outcome
}

// Commit does what needs the written status: it names in an annotation where the id is about to be published, and asks
// AWS for the copies whose marker stands in the status, which it then writes again. A status that somebody else has
// changed since is an error, and nothing is lost by it.
func (d *Distributor) Commit(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, outcome Outcome) error {
	return errors.Join(
		d.namePlaces(ctx, object, outcome.places),
		d.startCopies(ctx, object, outcome.starts),
	)
}

// expose tags the current snapshot with what it is about to go through. It returns why it could not.
func (p *pass) expose(ctx context.Context, regions []*regionPass) *Problem {
	tags := exposure(p.current.Tags, p.ways(regions), p.copiedTo(regions))
	if len(tags) == 0 {
		return nil
	}
	if err := p.Home.Tag(ctx, p.current.ID, tags); err != nil {
		return awsProblem(fmt.Errorf("tagging snapshot %s with what becomes of it, before anything does: %w", p.current.ID, err))
	}
	maps.Copy(p.current.Tags, tags)
	return nil
}

// ways also has those that only the written status knows: the tags that were read may be older than the last ones that
// were put, and putting replaces their values.
func (p *pass) ways(regions []*regionPass) []string {
	var ways []string
	known := func(kind string) bool {
		return asked(p.object.Spec)[kind] || meta.FindStatusCondition(p.written.Conditions, kind) != nil
	}
	if len(p.copiedTo(regions)) > 0 {
		ways = append(ways, exposedCopied)
	}
	if known(larderv1alpha1.ConditionShared) {
		ways = append(ways, exposedShared)
	}
	if known(larderv1alpha1.ConditionPublished) {
		ways = append(ways, exposedPublished)
	}
	return ways
}

// copiedTo are the Regions with a copy, or one that may come to be; also those that only the written status knows.
func (p *pass) copiedTo(regions []*regionPass) []string {
	var copied []string
	for _, r := range regions {
		if r.decision.start || len(r.facts.found) > 0 {
			copied = append(copied, r.facts.region)
		}
	}
	for _, one := range p.written.Copies {
		if one.Revision == p.revision() && one.State != larderv1alpha1.CopyFailed {
			copied = append(copied, one.Region)
		}
	}
	return copied
}

// revision is the current snapshot's.
func (p *pass) revision() int64 {
	number, err := strconv.ParseInt(p.current.Tags[ebs.TagRevision], 10, 64)
	if err != nil || number < 1 {
		return p.object.Status.Revision // a person has spoilt the tag
	}
	return number
}

func (d *Distributor) identity(object *larderv1alpha1.ImageCacheSnapshot) map[string]string {
	return map[string]string{
		ebs.TagClusterUID: string(d.ClusterUID),
		ebs.TagObjectUID:  string(object.UID),
	}
}

func hasTags(tags, wanted map[string]string) bool {
	for key, value := range wanted {
		if tags[key] != value {
			return false
		}
	}
	return true
}

// lockedPatch is a merge patch that fails if anyone wrote in between, since it replaces lists whole.
func lockedPatch(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}
