package targets

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/fakeaws/estate"
)

// patience is for two looks of the operator at AWS, a minute apart, on a busy machine; and for the two minutes that it gives
// the CSI driver.
const patience = 3 * time.Minute

// until looks until something holds, and lets the CSI driver do its part in between.
func (s *Story) until(ctx context.Context, what string, holds func() (bool, error)) error {
	return s.Stack.Until(ctx, what, patience, func() (bool, error) {
		if done, err := holds(); err != nil || done {
			return done, err
		}
		return false, s.drive(ctx)
	})
}

// untilBinding waits for what a binding says.
func (s *Story) untilBinding(ctx context.Context, name, what string, says func(*v1alpha1.NodeClassBinding) bool) error {
	return s.until(ctx, fmt.Sprintf("NodeClassBinding %s: %s", name, what), func() (bool, error) {
		found, err := s.Stack.Binding(ctx, name)
		return err == nil && says(found), err
	})
}

// untilServed waits until a binding is Ready with the newest good snapshot, which has proven itself where something was
// launched with it.
func (s *Story) untilServed(ctx context.Context, one bound) error {
	id := s.good[one.snapshot]
	return s.untilBinding(ctx, one.name, "Ready with "+id, func(b *v1alpha1.NodeClassBinding) bool {
		proven := b.Status.LastKnownGoodProven && b.Status.LastKnownGoodSnapshotID == id
		return e2e.IsReady(b) && b.Status.AppliedSnapshotID == id && (proven || one.name == estate.DefaultGroup)
	})
}

func (s *Story) untilAllServed(ctx context.Context) error {
	for _, one := range bindings {
		if err := s.untilServed(ctx, one); err != nil {
			return err
		}
	}
	return s.expectAll(ctx, s.good)
}

// untilApplied waits until a snapshot is asked for.
func (s *Story) untilApplied(ctx context.Context, name, id string) error {
	return s.untilBinding(ctx, name, id+" is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == id })
}

// revision waits for a revision of an ImageCacheSnapshot, and returns its snapshot's id.
func (s *Story) revision(ctx context.Context, name string, number int64) (string, error) {
	object := &v1alpha1.ImageCacheSnapshot{}
	err := s.until(ctx, fmt.Sprintf("revision %d of ImageCacheSnapshot %s is Ready", number, name), func() (bool, error) {
		err := s.Stack.Admin.Get(ctx, client.ObjectKey{Name: name}, object)
		return object.Status.Revision == number && meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady), err
	})
	return object.Status.SnapshotID, err
}

// expectAll fails unless everything in AWS, and the volumes of new claims, are made from the given snapshots, by
// ImageCacheSnapshots.
func (s *Story) expectAll(ctx context.Context, want map[string]string) error {
	if err := s.expectInAWS(ctx, want); err != nil {
		return err
	}
	got, err := s.claimsGet(ctx)
	if err == nil && got != want[weights] {
		err = fmt.Errorf("new claims of VolumeSnapshot %s/%s get %q, want %q", namespace, weights, got, want[weights])
	}
	return err
}

func (s *Story) expectInAWS(ctx context.Context, want map[string]string) error {
	for _, one := range bindings {
		now, err := s.consumer(ctx, one.name)
		if err != nil {
			return err
		}
		if now != nil && now.SnapshotID != want[one.snapshot] {
			return fmt.Errorf("%s launches with %q, want %q", one.name, now.SnapshotID, want[one.snapshot])
		}
	}
	return nil
}

// consumer reads what a binding is for; nil for one that is not in AWS.
func (s *Story) consumer(ctx context.Context, name string) (*estate.Consumer, error) {
	all, err := s.estate.Consumers(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(one estate.Consumer) bool { return one.Name == name }); i >= 0 {
		return &all[i], nil
	}
	return nil, nil
}

// showConsumers prints what AWS launches with, as its own tools would tell.
func (s *Story) showConsumers(ctx context.Context) error {
	all, err := s.estate.Consumers(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "%-10s%-12s%s\n", "IN AWS", "VERSION", "SNAPSHOT")
	for _, one := range all {
		version := "-"
		if one.Version != 0 {
			version = fmt.Sprint(one.Version)
			if one.Says != version {
				version += " " + one.Says
			}
		}
		snapshot := one.SnapshotID
		if snapshot == "" {
			snapshot = "-"
		}
		fmt.Fprintf(s.Out, "%-10s%-12s%s\n", one.Name, version, snapshot)
	}
	return nil
}

// showBindings prints what each binding has applied, and why it is or is not Ready.
func (s *Story) showBindings(ctx context.Context) error {
	return s.Show(ctx, "get", "ncb", "--output", "custom-columns="+strings.Join([]string{
		"NAME:.metadata.name",
		`READY:.status.conditions[?(@.type=="Ready")].status`,
		`REASON:.status.conditions[?(@.type=="Ready")].reason`,
		"APPLIED:.status.appliedSnapshotID",
		"REJECTED:.status.rejectedSnapshotID",
		"NODES:.status.nodes",
	}, ","))
}

func (s *Story) untilGone(ctx context.Context, object client.Object) error {
	return s.until(ctx, fmt.Sprintf("%T %s is gone", object, object.GetName()), func() (bool, error) {
		err := s.Stack.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}
