package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
)

// sight is what there is to see at one moment.
type sight struct {
	status  v1alpha1.ImageCacheSnapshotStatus
	binding v1alpha1.NodeClassBindingStatus
	// bootsFrom is the snapshot in the EC2NodeClass.
	bootsFrom string
	inAWS     []string
}

// serves holds when a revision is Ready, nodes boot from it, and the binding knows that.
func (s *sight) serves(revision int64) bool {
	return s.isReady() && s.status.Revision == revision &&
		s.bootsFrom == s.status.SnapshotID && s.binding.AppliedSnapshotID == s.status.SnapshotID
}

func (s *sight) isReady() bool {
	return meta.IsStatusConditionTrue(s.status.Conditions, v1alpha1.ConditionReady)
}

// builds returns the revision that is being built, or 0.
func (s *sight) builds() int64 {
	if build := s.status.Build; build != nil && build.Step != v1alpha1.BuildFailed {
		return build.Revision
	}
	return 0
}

// revision returns what the status says of one; the zero value if nothing.
func (s *sight) revision(number int64) v1alpha1.RevisionStatus {
	for _, one := range s.status.Revisions {
		if one.Number == number {
			return one
		}
	}
	return v1alpha1.RevisionStatus{}
}

// timeline prints what changes, as it is seen.
type timeline struct {
	stack *e2e.Stack
	start time.Time
	last  sight
}

func (t *timeline) tell(format string, arguments ...any) {
	elapsed := time.Since(t.start).Round(time.Second)
	fmt.Printf("+%02d:%02d  %s\n", int(elapsed.Minutes()), int(elapsed.Seconds())%60, fmt.Sprintf(format, arguments...))
}

// until looks again and again until the wanted is seen, for so long at most.
func (t *timeline) until(ctx context.Context, what string, patience time.Duration, wanted func(*sight) bool) error {
	const glance = 200 * time.Millisecond
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		now, err := t.look(ctx)
		if err != nil {
			return err
		}
		before := t.last
		t.last = now
		t.tellChanges(&before, &now)
		if wanted(&now) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not seen: %s: %w", what, context.Cause(ctx))
		case <-deadline.C:
			return fmt.Errorf("not seen within %s: %s; the ImageCacheSnapshot says: %s", patience, what, conditionsOf(&now))
		case <-ticker.C:
		}
	}
}

func (t *timeline) look(ctx context.Context) (sight, error) {
	object, binding := &v1alpha1.ImageCacheSnapshot{}, &v1alpha1.NodeClassBinding{}
	if err := t.stack.Admin.Get(ctx, client.ObjectKey{Name: e2e.SnapshotName}, object); err != nil {
		return sight{}, fmt.Errorf("looking at ImageCacheSnapshot %s: %w", e2e.SnapshotName, err)
	}
	if err := t.stack.Admin.Get(ctx, client.ObjectKey{Name: e2e.BindingName}, binding); err != nil {
		return sight{}, fmt.Errorf("looking at NodeClassBinding %s: %w", e2e.BindingName, err)
	}
	bootsFrom, err := t.stack.BootsFrom(ctx)
	if err != nil {
		return sight{}, err
	}
	now := sight{status: object.Status, binding: binding.Status, bootsFrom: bootsFrom}
	for _, snapshot := range t.stack.AWS.Snapshots() {
		now.inAWS = append(now.inAWS, snapshot.ID)
	}
	return now, nil
}

func (t *timeline) tellChanges(before, now *sight) {
	if building := now.builds(); building != 0 && building != before.builds() {
		upon := ""
		if parent := now.status.Build.ParentSnapshotID; parent != "" {
			upon = " upon " + parent
		}
		t.tell("revision %d is being built%s (%s)", building, upon, now.status.Build.Trigger)
	}
	if now.isReady() && now.status.SnapshotID != before.status.SnapshotID {
		t.tell("revision %d is Ready: %s, %s", now.status.Revision, now.status.SnapshotID, t.costs(now))
	}
	if now.bootsFrom != before.bootsFrom {
		t.tell("EC2NodeClass %s boots new nodes from %s", e2e.ClassName, now.bootsFrom)
	}
	if wayBack := now.binding.LastKnownGoodSnapshotID; wayBack != before.binding.LastKnownGoodSnapshotID {
		t.tell("NodeClassBinding %s keeps %s as the way back", e2e.BindingName, wayBack)
	}
	for _, id := range before.inAWS {
		if !slices.Contains(now.inAWS, id) {
			t.tell("%s is gone from AWS, which has %s", id, strings.Join(now.inAWS, " and "))
		}
	}
}

// costs says what the current revision moved.
func (t *timeline) costs(now *sight) string {
	total := int64(0)
	for _, image := range now.status.Images {
		if image.Size != nil {
			total += image.Size.Value()
		}
	}
	moved := now.revision(now.status.Revision)
	return fmt.Sprintf("fetched %s of %s, wrote %s", megabytes(moved.FetchedBytes), megabytes(total), megabytes(moved.WrittenBytes))
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

func conditionsOf(now *sight) string {
	var all []string
	for _, condition := range now.status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s (%s: %s)", condition.Type, condition.Status, condition.Reason, condition.Message))
	}
	return strings.Join(all, "; ")
}
