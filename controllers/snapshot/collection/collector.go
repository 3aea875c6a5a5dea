package collection

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	// interval is how often a sweep comes by itself. One costs a few lists and changes nothing while there is nothing to
	// do, and no grace is shorter.
	interval = time.Minute
	// pause is the least time between two sweeps: many objects may ask for one at the same moment.
	pause = 5 * time.Second
	// soon is when the next sweep comes after one that was asked for: what was superseded a moment ago is let go of by
	// bindings within seconds.
	soon = 20 * time.Second
)

// Snapshots are the EBS snapshots of our account in one Region.
type Snapshots interface {
	// Find returns those that carry all of these tags, the oldest first.
	Find(ctx context.Context, tags map[string]string) ([]ebs.Snapshot, error)
	// Tag adds tags, or gives them other values.
	Tag(ctx context.Context, id string, tags map[string]string) error
	// FastRestores returns the fast snapshot restores of these snapshots.
	FastRestores(ctx context.Context, ids []string) ([]ebs.FastRestore, error)
	// DisableFastRestore begins to turn them off in these zones.
	DisableFastRestore(ctx context.Context, id string, zones []string) error
	// Delete deletes one; a snapshot that does not exist is no error, and for one that an AMI is made of IsInUse of
	// internal/aws holds.
	Delete(ctx context.Context, id string) error
}

// Region is what there is to work with in one AWS Region.
type Region struct {
	Snapshots Snapshots
	// Consumers are what makes volumes of snapshots there.
	Consumers []references.Consumers
}

// Collector is a manager's Runnable. All fields are required but those that say otherwise.
type Collector struct {
	// Client writes the ledger; Live reads straight from the API server.
	Client client.Client
	Live   client.Reader
	// References tells who may still use a snapshot.
	References references.Reader
	// Regions returns the clients for a Region; asked twice, it may return the same.
	Regions func(region string) Region
	// CopiedTo reads from a home snapshot's tags in which Regions it may have copies.
	CopiedTo func(tags map[string]string) []string
	// Collected is told of the objects that have a revision less.
	Collected func(object *larderv1alpha1.ImageCacheSnapshot)
	Recorder  events.EventRecorder
	Clock     clock.Clock

	// ClusterUID is the UID of the kube-system namespace: nothing of another cluster is touched.
	ClusterUID types.UID
	// Home is the Region that snapshots are built in.
	Home string
	// Namespace is the operator's.
	Namespace string
	// ExposedGrace and OrphanGrace are DefaultExposedGrace and DefaultOrphanGrace when 0.
	ExposedGrace, OrphanGrace time.Duration
	// DryRun announces what would be deleted, and changes nothing in AWS. False is right for most.
	DryRun bool

	once sync.Once
	wake chan struct{}
	// sweeping guards what follows: one sweep at a time.
	sweeping sync.Mutex
	// told has what was announced last of each snapshot.
	told map[string]string
	// refused has what AWS keeps for an AMI, and since when that is known.
	refused map[string]time.Time
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: only one may delete.
func (c *Collector) NeedLeaderElection() bool { return true }

// Wake asks for a sweep soon. It never blocks.
func (c *Collector) Wake() {
	select {
	case c.signal() <- struct{}{}:
	default: // one is coming already
	}
}

func (c *Collector) signal() chan struct{} {
	c.once.Do(func() { c.wake = make(chan struct{}, 1) })
	return c.wake
}

// Start sweeps until the manager stops.
func (c *Collector) Start(ctx context.Context) error {
	next := interval
	for {
		if err := c.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "A sweep kept what it could not judge, and the next one tries again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.Clock.After(pause):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.signal():
			next = soon
		case <-c.Clock.After(next - pause):
			next = interval
		}
	}
}

// Sweep looks at everything once. An error says what could not be read or done; what depends on it was left as it is.
func (c *Collector) Sweep(ctx context.Context) error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	err := c.sweep(ctx)
	if err != nil {
		failedSweeps.Inc()
	}
	return err
}

func (c *Collector) sweep(ctx context.Context) error {
	f, unread, err := c.observe(ctx)
	if err != nil {
		return err
	}
	unknown := c.lookUp(ctx, f, plan(f).due())
	d := plan(f)
	c.refused = map[string]time.Time{}
	for _, v := range d.verdicts {
		if at, refused := f.refused[v.ID]; refused {
			c.refused[v.ID] = at
		}
	}
	failed := c.act(ctx, f, d)
	c.announce(ctx, d)
	return errors.Join(unread, unknown, failed)
}
