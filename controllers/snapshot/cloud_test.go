package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// cloud stands in for EBS as far as the controller sees it: snapshots that AWS shows late, that take their time
// to complete, and that a client token makes once.
type cloud struct {
	t     testing.TB
	clock clock.PassiveClock

	// hide is for how long a new snapshot is denied, and complete how long AWS takes after the last block.
	hide, complete time.Duration
	// fault may fail a call before it has any effect.
	fault func(call string) error
	// inUse has the ids whose deletion is a mistake of the controller.
	inUse func() map[string]bool

	mu        sync.Mutex
	snapshots map[string]*cloudSnapshot
	tokens    map[string]string
}

type cloudSnapshot struct {
	ebs.Snapshot
	visibleAt, completeAt time.Time
	sealed, spoilt        bool
}

func newCloud(t testing.TB, clock clock.PassiveClock) *cloud {
	return &cloud{
		t: t, clock: clock, complete: 40 * time.Second,
		fault:     func(string) error { return nil },
		inUse:     func() map[string]bool { return nil },
		snapshots: map[string]*cloudSnapshot{},
		tokens:    map[string]string{},
	}
}

func notFound(id string) error {
	return fmt.Errorf("describing snapshot %s: %w", id, &smithy.GenericAPIError{Code: "InvalidSnapshot.NotFound", Message: "The snapshot does not exist."})
}

func accessDenied() error {
	return fmt.Errorf("starting a snapshot: %w", &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "ebs:StartSnapshot is not allowed"})
}

func unavailable(string) error {
	return &smithy.GenericAPIError{Code: "ServiceUnavailable", Message: "try later", Fault: smithy.FaultServer}
}

// start is StartSnapshot: the same token gives the same snapshot.
func (c *cloud) start(tags map[string]string, attempt int64) (string, error) {
	if err := c.fault("StartSnapshot"); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	token := fmt.Sprint(tags, attempt)
	if id, known := c.tokens[token]; known {
		c.t.Errorf("the client token of %s is used again: a snapshot may be half written", id)
		return id, nil
	}
	id := fmt.Sprintf("snap-%04d", len(c.tokens)+1)
	c.tokens[token] = id
	now := c.clock.Now()
	c.snapshots[id] = &cloudSnapshot{
		Snapshot:  ebs.Snapshot{ID: id, State: ebs.StatePending, Tags: maps.Clone(tags), VolumeSize: 8, StartTime: now},
		visibleAt: now.Add(c.hide),
	}
	return id, nil
}

// seal is CompleteSnapshot: accepted now, done later.
func (c *cloud) seal(id string, spoil bool) error {
	if err := c.fault("CompleteSnapshot"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	snapshot := c.snapshots[id]
	if snapshot == nil {
		return notFound(id)
	}
	snapshot.sealed, snapshot.spoilt, snapshot.completeAt = true, spoil, c.clock.Now().Add(c.complete)
	return nil
}

// show lets time pass for one snapshot.
func (c *cloud) show(snapshot *cloudSnapshot) ebs.Snapshot {
	if snapshot.sealed && !c.clock.Now().Before(snapshot.completeAt) {
		snapshot.State = ebs.StateCompleted
		if snapshot.spoilt {
			snapshot.State, snapshot.StateMessage = ebs.StateError, "a block was lost"
		}
	}
	return snapshot.Snapshot
}

func (c *cloud) Find(_ context.Context, tags map[string]string) ([]ebs.Snapshot, error) {
	if err := c.fault("Find"); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []ebs.Snapshot
	for _, snapshot := range c.snapshots {
		if !c.clock.Now().Before(snapshot.visibleAt) && hasTags(snapshot.Snapshot, tags) {
			found = append(found, c.show(snapshot))
		}
	}
	slices.SortFunc(found, func(a, b ebs.Snapshot) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

func (c *cloud) Describe(_ context.Context, id string) (ebs.Snapshot, error) {
	if err := c.fault("Describe"); err != nil {
		return ebs.Snapshot{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	snapshot := c.snapshots[id]
	if snapshot == nil || c.clock.Now().Before(snapshot.visibleAt) {
		return ebs.Snapshot{}, notFound(id)
	}
	return c.show(snapshot), nil
}

func (c *cloud) Tag(_ context.Context, id string, tags map[string]string) error {
	if err := c.fault("Tag"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	snapshot := c.snapshots[id]
	if snapshot == nil {
		return notFound(id)
	}
	snapshot.Tags = maps.Clone(snapshot.Tags)
	maps.Copy(snapshot.Tags, tags)
	return nil
}

// FastRestores are what the tests of package collection are about; here there are none.
func (c *cloud) FastRestores(context.Context, []string) ([]ebs.FastRestore, error) {
	return nil, c.fault("FastRestores")
}

func (c *cloud) DisableFastRestore(context.Context, string, []string) error { return nil }

func (c *cloud) Delete(_ context.Context, id string) error {
	if err := c.fault("Delete"); err != nil {
		return err
	}
	if c.inUse()[id] {
		c.t.Errorf("snapshot %s is deleted although it is in use", id)
	}
	c.remove(id)
	return nil
}

// remove deletes behind everyone's back.
func (c *cloud) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.snapshots, id)
}

// spoil fails a completed snapshot.
func (c *cloud) spoil(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snapshots[id].spoilt = true
}

// copyByHand is a person's copy of a snapshot, tags and all.
func (c *cloud) copyByHand(id, state string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := *c.snapshots[id]
	copied.ID, copied.State, copied.StartTime = id+"-"+state, state, copied.StartTime.Add(time.Minute)
	copied.sealed = state == ebs.StateCompleted
	c.snapshots[copied.ID] = &copied
}

// all returns what is really there, visible or not.
func (c *cloud) all() []ebs.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []ebs.Snapshot
	for _, id := range slices.Sorted(maps.Keys(c.snapshots)) {
		found = append(found, c.show(c.snapshots[id]))
	}
	return found
}

// keys are KMS's: two that work, and one that does not.
type keys struct{}

func (keys) Describe(_ context.Context, keyID string) (kms.Key, error) {
	switch keyID {
	case "alias/images", "alias/other":
		return kms.Key{ARN: "arn:aws:kms:eu-central-1:111122223333:key/" + keyID, Enabled: true, State: "Enabled"}, nil
	case "alias/disabled":
		return kms.Key{ARN: "arn:aws:kms:eu-central-1:111122223333:key/disabled", State: "Disabled"}, nil
	}
	return kms.Key{}, fmt.Errorf("describing KMS key %s: %w", keyID, &smithy.GenericAPIError{Code: "NotFoundException", Message: "no such key"})
}

// beside is what the controller hands the rest of a snapshot's life to.
type beside struct {
	// templates are launch template versions in use.
	templates []launch.Use
	fault     error

	outcome   distribution.Outcome
	condition metav1.Condition
	current   string
	withdrawn bool
	retained  bool
	woken     int
}

func (b *beside) SnapshotUses(context.Context) ([]launch.Use, error) { return b.templates, b.fault }

func (b *beside) Pass(_ context.Context, object *larderv1alpha1.ImageCacheSnapshot, current ebs.Snapshot, _ []ebs.Snapshot) distribution.Outcome {
	b.current = current.ID
	if b.condition.Type != "" {
		meta.SetStatusCondition(&object.Status.Conditions, b.condition)
	}
	return b.outcome
}

func (b *beside) Commit(context.Context, *larderv1alpha1.ImageCacheSnapshot, distribution.Outcome) error {
	return nil
}

func (b *beside) Withdraw(context.Context, *larderv1alpha1.ImageCacheSnapshot) error {
	b.withdrawn = true
	return nil
}

func (b *beside) Retain(context.Context, *larderv1alpha1.ImageCacheSnapshot) error {
	b.retained = true
	return nil
}

func (b *beside) Wake() { b.woken++ }
