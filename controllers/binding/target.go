package binding

import (
	"cmp"
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// Target is one kind of spec.target. What it needs of the world are its own fields; the Reconciler knows it by these
// methods alone.
type Target interface {
	// Subject says what a binding holds of a target of this kind; false when the binding's target is of another kind. It is
	// pure.
	Subject(binding *v1alpha1.NodeClassBinding) (Subject, bool)

	// Observe reads the binding's target and what it launched; it changes nothing. A target that does not exist is an
	// Observation too, whose plans say so.
	Observe(ctx context.Context, binding *v1alpha1.NodeClassBinding, as Freshness) (Observation, error)

	// Act carries out a Write that an Observation of this Target planned, unless the target changed since it was
	// observed. It returns without waiting for AWS to finish, and may be made again after it failed at any point. An error
	// that is a *Problem says what became of the write.
	Act(ctx context.Context, write Write) error
}

// Watcher is a Target that Kubernetes tells about. Any other is looked at again each snapshot.interval, and when a
// RetryAfter of its plans asks for it.
type Watcher interface {
	// Watch makes the controller reconcile the bindings of a target when the target, or what it launched, changes.
	Watch(mgr manager.Manager, c controller.Controller) error
}

// Freshness says how a target's nodes are read. The target itself is always read as it is.
type Freshness int

const (
	// Heard takes the nodes that the operator has heard of, from its cache if it has one.
	Heard Freshness = iota
	// Live lists them, whatever that costs: before a write, since a node that was not heard of yet is a node all the same.
	Live
)

// Subject is what a binding holds: no two bindings may hold the same.
type Subject struct {
	// Kind and Name tell the target, in words: "EC2NodeClass" and "gpu".
	Kind, Name string
	// Part is the device or the volume that the binding holds; empty when a target has but one.
	Part string
	// Whole tells that the binding holds every part.
	Whole bool
	// Source is the name of a target of the same kind that this one is made from; empty for none. A change of that one
	// concerns the binding too.
	Source string
	// Node and Pool are what the platform calls one machine, or what else is made from the snapshot, and a group of them:
	// "NodeClaim" and "NodePool". Their plurals end in s.
	Node, Pool string
	// Serves begins a sentence that goes on with the snapshot in place: "new tasks have volumes of"; empty for "new nodes boot
	// with".
	Serves string
	// Evidence is a sentence that says where the platform keeps the cause of a failure; empty when its plans say it.
	Evidence string
}

// serves says for what a snapshot is in place: "new nodes boot with snap-1".
func (s Subject) serves(id string) string { return cmp.Or(s.Serves, "new nodes boot with") + " " + id }

// Target names the target: "EC2NodeClass gpu".
func (s Subject) Target() string { return s.Kind + " " + s.Name }

// String names what is held: "/dev/xvdb of EC2NodeClass gpu".
func (s Subject) String() string {
	if s.Part == "" {
		return s.Target()
	}
	return s.Part + " of " + s.Target()
}

// Observation is a target as it was read. Its plans are pure: no client, no context; the time is given.
type Observation interface {
	// Plan says what has to be written so that the binding's device boots with the snapshot. Without a snapshot (the
	// zero value) it only looks for problems.
	Plan(binding *v1alpha1.NodeClassBinding, snapshot Snapshot, now time.Time) Plan

	// PlanWithout says what has to be written so that the device is as it was before the binding, which goes on: what is
	// left of a bad snapshot that has no predecessor.
	PlanWithout(binding *v1alpha1.NodeClassBinding, now time.Time) Plan

	// PlanEnd says what has to be written so that the binding can go, by its deletion policy.
	PlanEnd(binding *v1alpha1.NodeClassBinding, now time.Time) Plan
}

// Snapshot is a completed EBS snapshot in the operator's Region and what is known of it. What only tags or this cluster's
// ImageCacheSnapshot tell is not known of one that another account shares.
type Snapshot struct {
	// ID is empty when there is no usable snapshot.
	ID string
	// Format is the layout of the snapshot's volume; empty when it is not known.
	Format v1alpha1.Format
	// SizeGiB is the size of the snapshot's volume; a volume made from it cannot be smaller.
	SizeGiB int64
	// StoredBytes are in use on the volume, nearly all by images that kubelet cannot collect; 0 when it is not known.
	StoredBytes int64
	// Platforms are those whose images it holds, as "linux/amd64"; nil when they are not known.
	Platforms []string
	// Key is the customer's KMS key that it is encrypted with; nil for none, and for AWS's own.
	Key *Key
	// FastRestore tells that fast snapshot restore is enabled, or being enabled, in some zone.
	FastRestore bool
}

// Key is a KMS key that nodes need to boot from a snapshot.
type Key struct {
	// ARN is the key's.
	ARN string
	// Grantees are the principals that it has grants for; nil when that could not be read.
	Grantees []string
}

// Plan is what one target needs.
type Plan struct {
	// Problem keeps the target from taking the snapshot; nil when nothing does.
	Problem *Problem
	// Warnings are what does not, but should be known.
	Warnings []Warning
	// InPlace is the snapshot that the device names now; empty when it names none. While the platform is changing the
	// target, and after it tried and failed, it is the one that was asked for, so that Health can speak of it.
	InPlace string
	// Write is the one change to make; nil when the target is as it should be, or is being made so. Where the platform
	// failed and went back by itself, that is no change for what it went back to, and for the other one another attempt:
	// whether one is made is not for the Target to decide.
	Write Write
	// Busy keeps the target from being written just now: the platform, or somebody else, is changing it. Nil when nothing
	// does. It is a stall when that does not come to an end by itself.
	Busy *Problem
	// Progress says how far the platform has come with what this binding asked for last, the former state too: "EKS has been
	// updating since 10:04"; empty when it is not at work on that.
	Progress string
	// Upkeep is a change that brings the target in step with what its owner changed, without another snapshot; or one that
	// takes away what was made for the binding and nothing needs any more, at its end too. It replaces no node that the owner
	// did not replace by that, and may be made while Write has to wait. Nil for none.
	Upkeep Write
	// Pools are what the target runs, by node pool, sorted by name.
	Pools []Pool
	// Health is what the platform says since the snapshot in place was written.
	Health Health
	// TakenBackBy is the field manager, or the AWS principal, that changed the devices since Larder wrote them; empty when
	// none did.
	TakenBackBy string
	// Recreated tells that the target was made after the binding's status.appliedTime: what Larder wrote to the one of the
	// same name before went with it, and nobody took it back.
	Recreated bool
	// Remedy says how TakenBackBy is told to leave the devices alone.
	Remedy string
}

// Warning is something that may be wrong, or that cannot be known.
type Warning struct {
	// Reason is one of the API's reason constants.
	Reason string
	// Message says what, where, and what to do.
	Message string
}

// Pool is what one node pool runs of a target. A node is one from the moment that its launch is asked for.
type Pool struct {
	// Name is empty for nodes without a pool.
	Name string
	// Current nodes were launched with the snapshot that is applied, Outdated ones with something else.
	Current, Outdated int
	// Staying are those of them that the platform is not replacing or removing already: a changed device makes it replace
	// these too.
	Staying int
	// HoldsDrift tells that the pool never replaces a node because its class changed.
	HoldsDrift bool
}

// Health is how nodes get on with the snapshot in place, by the binding's status.appliedTime: what failed before that
// write is not of its making.
type Health struct {
	// Failure is what went wrong; nil when nothing did. With the reason UpdateFailed it is that the platform tried what it was
	// asked for last, and nothing newer, and did not bring it about.
	Failure *Problem
	// Proven tells that a node was launched with it, became Ready, and that nothing failed.
	Proven bool
	// Broken counts the nodes that were launched with it and are not Ready in time or cannot be launched, and Working
	// those that are Ready.
	Broken, Working int
	// RetryAfter is when the time of a node, or of the target, will be up; zero when none is awaited.
	RetryAfter time.Duration
}

// Write is one change to a target. Only the Target whose Observation planned it knows what is inside.
type Write any

// Problem is why a binding is not applied, in words for the person who made it.
type Problem struct {
	// Reason is one of the API's reason constants.
	Reason string
	// Message says what, where, and what to do.
	Message string
	// Stalled tells that a person has to act. Otherwise time, or a change that is watched, solves it.
	Stalled bool
	// RetryAfter is when to look again if no watch tells of a change; zero for never.
	RetryAfter time.Duration
	// Cause is the error behind it, if there is one.
	Cause error
}

// Error is the reason and the message.
func (p *Problem) Error() string { return p.Reason + ": " + p.Message }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }
