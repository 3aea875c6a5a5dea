package story

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
)

// rollback writes a snapshot that nothing can be launched from, and sees it taken back.
func (s *Story) rollback(ctx context.Context) error {
	s.Say("Another image is to be cached. What nobody knows yet: EC2 will launch nothing from the new snapshot.")
	if err := s.apply(ctx, "inference.yaml", imageCacheSnapshot(s.Stack.Images)); err != nil {
		return err
	}
	before, err := s.claims(ctx)
	if err != nil {
		return err
	}
	if s.bad, err = s.revision(ctx, 2); err != nil {
		return err
	}
	s.refused[s.bad] = true
	if err := s.applyNow(ctx, s.bad); err != nil {
		return err
	}
	s.Say("Karpenter marks the nodes as drifted, cannot replace them, and says no more than that it does not know:")
	if err := s.until(ctx, "the class is Ready=Unknown", patience, func() (bool, error) {
		found, err := s.conditionOf(ctx, "Ready")
		return found == "Unknown", err
	}); err != nil {
		return err
	}
	if err := errors.Join(s.showNodes(ctx), s.showClassConditions(ctx)); err != nil {
		return err
	}
	s.Say("Nobody touches anything. When the class was not Ready for a minute, the snapshot before is back:")
	if err := s.untilBinding(ctx, e2e.BindingName, "rolled back", trialPatience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.RejectedSnapshotID == s.bad && b.Status.AppliedSnapshotID == s.first &&
			meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionStalled) && e2e.Says(b, v1alpha1.ConditionStalled, v1alpha1.ReasonRolledBack)
	}); err != nil {
		return err
	}
	if err := s.untilUndrifted(ctx, before); err != nil {
		return err
	}
	return errors.Join(s.expectBoots(ctx, e2e.ClassName, s.first), s.showNodes(ctx), s.showClassConditions(ctx),
		s.showBinding(ctx, e2e.BindingName, "rejectedSnapshotID", "rejectedBecause"))
}

// untilUndrifted sees that no node is drifted any more, and that they are those of before.
func (s *Story) untilUndrifted(ctx context.Context, before map[string]string) error {
	if err := s.until(ctx, "the class is Ready, and no node is drifted", patience, func() (bool, error) {
		ready, err := s.conditionOf(ctx, "Ready")
		if err != nil || ready != "True" {
			return false, err
		}
		now, err := s.claims(ctx)
		return drifted(now) == 0, err
	}); err != nil {
		return err
	}
	now, err := s.claims(ctx)
	if err == nil && !maps.Equal(now, before) {
		err = fmt.Errorf("the nodes and their drift are %v, want those of before, %v", now, before)
	}
	return err
}

// applyNow asks for a snapshot to be written, and waits until it is.
func (s *Story) applyNow(ctx context.Context, snapshotID string) error {
	if err := s.untilBinding(ctx, e2e.BindingName, snapshotID+" waits", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.Pending != nil && b.Status.Pending.SnapshotID == snapshotID
	}); err != nil {
		return err
	}
	if err := s.Show(ctx, "get", "ncb", e2e.BindingName, "--output", "jsonpath={.status.pending}"); err != nil {
		return err
	}
	s.Say("A person does not want to wait:")
	if err := s.askNow(ctx, e2e.BindingName); err != nil {
		return err
	}
	return s.untilBinding(ctx, e2e.BindingName, snapshotID+" is written", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.AppliedSnapshotID == snapshotID
	})
}

// askNow annotates a binding; every value is another request.
func (s *Story) askNow(ctx context.Context, binding string) error {
	return s.Show(ctx, "annotate", "--overwrite", "ncb", binding, v1alpha1.AnnotationApplyNow+"="+time.Now().Format(time.RFC3339Nano))
}

// heal has a newer snapshot tried by itself.
func (s *Story) heal(ctx context.Context) error {
	s.Say("A newer snapshot is made. It gets its turn as the first one did, with the next drift:")
	if err := s.apply(ctx, "inference.yaml", imageCacheSnapshot(s.Stack.Images[1:])); err != nil {
		return err
	}
	newer, err := s.revision(ctx, 3)
	if err != nil {
		return err
	}
	if err := s.untilBinding(ctx, e2e.BindingName, "the newer snapshot waits for drift", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.Pending != nil && b.Status.Pending.SnapshotID == newer
	}); err != nil {
		return err
	}
	s.releaseAMI()
	if err := s.untilBinding(ctx, e2e.BindingName, "the newer snapshot is written", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.AppliedSnapshotID == newer
	}); err != nil {
		return err
	}
	if err := s.replaceDrifted(ctx); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, e2e.BindingName, "all nodes have the newer snapshot", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return hasNodes(b, nodes, 0) && e2e.IsReady(b)
	}); err != nil {
		return err
	}
	return s.showBinding(ctx, e2e.BindingName, "nodes")
}

// conditionOf returns the status of a condition of the first class.
func (s *Story) conditionOf(ctx context.Context, name string) (string, error) {
	return s.Stack.Kubectl(ctx, "get", "ec2nodeclass", e2e.ClassName, "--output", fmt.Sprintf(`jsonpath={.status.conditions[?(@.type==%q)].status}`, name))
}

func (s *Story) showClassConditions(ctx context.Context) error {
	return s.Show(ctx, "get", "ec2nodeclass", e2e.ClassName, "--output",
		`go-template=generation {{.metadata.generation}}{{"\n"}}{{range .status.conditions}}{{.type}}={{.status}} at {{.observedGeneration}} {{.message}}{{"\n"}}{{end}}`)
}
