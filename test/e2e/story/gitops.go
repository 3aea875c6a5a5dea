package story

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
)

const (
	argo = "argocd-controller"
	// mostRounds is how often a rival has to revert the device at most, until Larder leaves it alone.
	mostRounds = 5
)

// fight has a program apply the class as it is in Git, again and again.
func (s *Story) fight(ctx context.Context) error {
	s.Say("The class comes under Argo CD. What is in Git knows of no snapshot, and Argo CD applies it again whenever it differs:")
	path, err := s.write("ec2nodeclass.yaml", e2e.NodeClass)
	if err != nil {
		return err
	}
	for round := 1; ; round++ {
		if round > mostRounds {
			return fmt.Errorf("not seen: Larder stops after %d rounds with %s; the bindings are: %s", mostRounds, argo, s.Stack.AllBindings(ctx))
		}
		if err := s.sync(ctx, path); err != nil {
			return err
		}
		stopped := false
		if err := s.until(ctx, "the snapshot is back, or Larder has stopped", patience, func() (bool, error) {
			b, err := s.Stack.Binding(ctx, e2e.BindingName)
			if err != nil {
				return false, err
			}
			stopped = e2e.Says(b, v1alpha1.ConditionStalled, v1alpha1.ReasonRivalWriter)
			boots, err := s.bootsFrom(ctx, e2e.ClassName)
			return stopped || boots == b.Status.AppliedSnapshotID && e2e.IsReady(b), err
		}); err != nil {
			return err
		}
		if stopped {
			s.Say("After %d rounds Larder leaves it alone, and says to whom:", round)
			break
		}
		fmt.Fprintf(s.Out, "Larder wrote it again (round %d)\n", round)
	}
	b, err := s.Stack.Binding(ctx, e2e.BindingName)
	if err != nil {
		return err
	}
	if b.Status.Rival == nil || b.Status.Rival.Manager != argo {
		return fmt.Errorf("the rival is %+v, want %s", b.Status.Rival, argo)
	}
	return errors.Join(s.expectBoots(ctx, e2e.ClassName, ""), s.showBinding(ctx, e2e.BindingName, "rival"))
}

// sync applies a manifest as Argo CD does.
func (s *Story) sync(ctx context.Context, path string) error {
	return s.Show(ctx, "apply", "--server-side", "--force-conflicts", "--field-manager", argo, "--filename", path)
}

// peace has the same program apply the live list, as docs/gitops.md has it set up.
func (s *Story) peace(ctx context.Context) error {
	s.Say("The application gets ignoreDifferences for /spec/blockDeviceMappings, and RespectIgnoreDifferences: Argo CD now\napplies the list as it finds it. A person asks Larder to try again:")
	if err := s.askNow(ctx, e2e.BindingName); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, e2e.BindingName, "written again", patience, e2e.IsReady); err != nil {
		return err
	}
	applied, err := s.Stack.Binding(ctx, e2e.BindingName)
	if err != nil {
		return err
	}
	for range mostRounds {
		if err := s.syncLiveList(ctx); err != nil {
			return err
		}
		if err := s.untilBinding(ctx, e2e.BindingName, "Ready beside Argo CD", patience, e2e.IsReady); err != nil {
			return err
		}
		if err := s.expectBoots(ctx, e2e.ClassName, applied.Status.AppliedSnapshotID); err != nil {
			return err
		}
	}
	b, err := s.Stack.Binding(ctx, e2e.BindingName)
	if err != nil {
		return err
	}
	if b.Status.Rival != nil || meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionStalled) {
		return fmt.Errorf("the rival is %+v, want none", b.Status.Rival)
	}
	return errors.Join(s.Show(ctx, "get", "ncb", e2e.BindingName), s.showDevices(ctx, e2e.ClassName))
}

// syncLiveList is a sync of what is in Git with the devices that the API server has.
func (s *Story) syncLiveList(ctx context.Context) error {
	live, err := s.class(ctx, e2e.ClassName)
	if err != nil {
		return err
	}
	devices, _, err := unstructured.NestedSlice(live.Object, "spec", "blockDeviceMappings")
	if err != nil {
		return fmt.Errorf("reading the devices: %w", err)
	}
	var git map[string]any
	if err := yaml.Unmarshal([]byte(e2e.NodeClass), &git); err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	if err := unstructured.SetNestedSlice(git, devices, "spec", "blockDeviceMappings"); err != nil {
		return fmt.Errorf("writing the devices: %w", err)
	}
	manifest, err := yaml.Marshal(git)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	path, err := s.write("ec2nodeclass-with-live-devices.yaml", string(manifest))
	if err != nil {
		return err
	}
	return s.sync(ctx, path)
}
