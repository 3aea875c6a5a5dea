package story

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
)

// end deletes the bindings: what they wrote goes, under the same strategy.
func (s *Story) end(ctx context.Context) error {
	s.Say("The bindings are deleted. Where there are no nodes, the devices are at once as they were, and the second class is gone:")
	if err := s.Show(ctx, "delete", "ncb", gitClass, foreignClass, strangeClass, nightClass, "--wait=false"); err != nil {
		return err
	}
	for _, name := range []string{gitClass, foreignClass, strangeClass, nightClass} {
		if err := s.untilGone(ctx, name); err != nil {
			return err
		}
	}
	if err := s.until(ctx, "the derived class is gone", patience, func() (bool, error) {
		_, err := s.class(ctx, derivedClass)
		return apierrors.IsNotFound(err), ignoreNotFound(err)
	}); err != nil {
		return err
	}
	for _, name := range []string{foreignClass, strangeClass, nightClass} {
		if err := s.expectOriginal(ctx, name); err != nil {
			return err
		}
	}
	s.Say("With nodes, it waits for the next drift again:")
	if err := s.Show(ctx, "delete", "ncb", e2e.BindingName, "--wait=false"); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, e2e.BindingName, "the restoration waits", patience, func(b *v1alpha1.NodeClassBinding) bool {
		ready := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady)
		return b.Status.Pending != nil && b.Status.Pending.SnapshotID == "" && ready != nil && ready.Reason == v1alpha1.ReasonWaitingForDrift
	}); err != nil {
		return err
	}
	if err := s.showBinding(ctx, e2e.BindingName, "pending"); err != nil {
		return err
	}
	s.Say("There is a new AMI:")
	s.releaseAMI()
	if err := s.untilGone(ctx, e2e.BindingName); err != nil {
		return err
	}
	if err := s.replaceDrifted(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.showNodes(ctx), s.Show(ctx, "get", "ics,ncb,ec2nodeclasses"), s.showDevices(ctx, e2e.ClassName)); err != nil {
		return err
	}
	s.Say("The class is as it was before, byte by byte:")
	if err := s.expectOriginal(ctx, e2e.ClassName); err != nil {
		return err
	}
	fmt.Fprintln(s.Out, s.original)
	return nil
}

func (s *Story) untilGone(ctx context.Context, binding string) error {
	return s.until(ctx, fmt.Sprintf("NodeClassBinding %s is gone", binding), patience, func() (bool, error) {
		_, err := s.Stack.Binding(ctx, binding)
		return apierrors.IsNotFound(err), ignoreNotFound(err)
	})
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// expectOriginal fails unless a class has the spec of before Larder, and nothing of Larder's beside it. All classes but
// one are never edited, and equal but for their names.
func (s *Story) expectOriginal(ctx context.Context, name string) error {
	if err := s.expectSpec(ctx, name, s.original); err != nil {
		return err
	}
	found, err := s.class(ctx, name)
	if err != nil {
		return err
	}
	for key := range found.GetAnnotations() {
		if strings.HasPrefix(key, "larder.dev/") {
			return fmt.Errorf("EC2NodeClass %s still has the annotation %s", name, key)
		}
	}
	return nil
}
