package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/karpenter"
)

// The names of what else is bound.
const (
	gitClass     = "web"
	derivedClass = "web-larder"
	foreignClass = "batch"
	strangeClass = "rogue"
	nightClass   = "night"
)

// derive has Larder own a second class beside one that Git owns.
func (s *Story) derive(ctx context.Context) error {
	s.Say("Another class is Git's alone. Larder leaves it as it is, and owns a second one, equal but for the device:")
	target := target(gitClass) + "      derive: {name: " + derivedClass + "}\n"
	if err := errors.Join(s.applyClass(ctx, gitClass), s.apply(ctx, "web-binding.yaml", binding(gitClass, ref, target, withNextDrift))); err != nil {
		return err
	}
	before, err := s.specOf(ctx, gitClass)
	if err != nil {
		return err
	}
	if err := s.untilBinding(ctx, gitClass, "Ready with a class of its own", patience, e2e.IsReady); err != nil {
		return err
	}
	if err := errors.Join(s.expectSpec(ctx, gitClass, before), s.expectBoots(ctx, derivedClass, s.first),
		s.showDevices(ctx, gitClass), s.showDevices(ctx, derivedClass)); err != nil {
		return err
	}
	s.Say("Somebody edits the class in Git; the second one follows:")
	if err := s.Show(ctx, "patch", "ec2nodeclass", gitClass, "--type", "merge", "--patch", `{"spec":{"detailedMonitoring":true,"tags":{"team":"web"}}}`); err != nil {
		return err
	}
	edited := "jsonpath={.spec.detailedMonitoring} {.spec.tags.team}"
	if err := s.until(ctx, "the derived class follows", patience, func() (bool, error) {
		now, err := s.Stack.Kubectl(ctx, "get", "ec2nodeclass", derivedClass, "--output", edited)
		return now == "true web", err
	}); err != nil {
		return err
	}
	return errors.Join(s.Show(ctx, "get", "ec2nodeclass", derivedClass, "--output", edited), s.expectBoots(ctx, derivedClass, s.first))
}

// foreign binds what other accounts publish: one is allowed by the operator's flags.
func (s *Story) foreign(ctx context.Context) error {
	s.Say("Two accounts publish snapshots as SSM parameters and share them. The operator runs with %s:", strings.Join(Flags(), " "))
	published := s.publish("/platform/inference", publisher)
	s.publish("/elsewhere/inference", stranger)
	if err := errors.Join(
		s.applyClass(ctx, foreignClass),
		s.apply(ctx, "batch-binding.yaml", binding(foreignClass, "{ssmParameter: /platform/inference}", target(foreignClass), withNextDrift)),
		s.applyClass(ctx, strangeClass),
		s.apply(ctx, "rogue-binding.yaml", binding(strangeClass, "{ssmParameter: /elsewhere/inference}", target(strangeClass), withNextDrift)),
	); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, foreignClass, "Ready with the platform's snapshot", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return e2e.IsReady(b) && b.Status.AppliedSnapshotID == published
	}); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, strangeClass, "refused for its owner", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return e2e.Says(b, v1alpha1.ConditionSnapshotAvailable, v1alpha1.ReasonOwnerNotAllowed)
	}); err != nil {
		return err
	}
	if err := errors.Join(s.expectBoots(ctx, foreignClass, published), s.expectBoots(ctx, strangeClass, ""),
		s.showBinding(ctx, foreignClass), s.showBinding(ctx, strangeClass)); err != nil {
		return err
	}
	s.Say("A batch begins, with a node that boots with the platform's snapshot:")
	if err := s.apply(ctx, "batch-nodepool.yaml", nodePool(foreignClass)); err != nil {
		return err
	}
	if err := s.until(ctx, "EC2NodeClass "+foreignClass+" launches a node", patience, func() (bool, error) {
		err := s.scaleUp(ctx, foreignClass)
		if errors.Is(err, karpenter.ErrRefused) {
			return false, nil
		}
		return err == nil, err
	}); err != nil {
		return err
	}
	return s.showNodes(ctx)
}

// proof sees what another account publishes become the snapshot to go back to, and its node go.
func (s *Story) proof(ctx context.Context) error {
	s.Say("The node of the batch was Ready for a minute meanwhile: the platform's snapshot is the one to go back to from now on.")
	if err := s.untilBinding(ctx, foreignClass, "the platform's snapshot has proven itself", trialPatience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.LastKnownGoodProven && b.Status.LastKnownGoodSnapshotID == b.Status.AppliedSnapshotID && b.Status.AppliedSnapshotID != ""
	}); err != nil {
		return err
	}
	if err := s.Show(ctx, "get", "ncb", foreignClass, "--output", "jsonpath={.status.lastKnownGoodSnapshotID} {.status.lastKnownGoodProven}"); err != nil {
		return err
	}
	s.Say("The batch is done, and Karpenter removes its node:")
	return s.Show(ctx, "delete", "nodeclaims", "--selector", "karpenter.sh/nodepool="+foreignClass, "--wait=false")
}

// publish shares a snapshot of another account with ours, and returns its id.
func (s *Story) publish(parameter, account string) string {
	id := s.Stack.AWS.AddSnapshot(fakeaws.Snapshot{Owner: account, VolumeSize: 20, SharedWith: []string{ourAccount}})
	s.Stack.AWS.AddParameter(fakeaws.Parameter{Name: parameter, Value: id})
	fmt.Fprintf(s.Out, "account %s publishes %s as %s\n", account, id, parameter)
	return id
}

// ourAccount is the AWS double's.
const ourAccount = "111122223333"

// window has a binding wait for the night, a pause, and a person who does not wait.
func (s *Story) window(ctx context.Context) error {
	s.Say("A class whose nodes may be replaced for one hour a day, which is not now:")
	farAway := time.Now().UTC().Add(12 * time.Hour).Hour()
	rollout := fmt.Sprintf("    strategy: Roll\n    window: {schedule: \"0 %d * * *\", duration: 1h}\n", farAway)
	if err := errors.Join(s.applyClass(ctx, nightClass), s.apply(ctx, "night-binding.yaml", binding(nightClass, ref, target(nightClass), rollout))); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, nightClass, "waits for its window", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return e2e.Says(b, v1alpha1.ConditionApplied, v1alpha1.ReasonWaitingForWindow) && b.Status.Pending != nil && b.Status.Pending.NextWindow != nil
	}); err != nil {
		return err
	}
	if err := s.Show(ctx, "get", "ncb", nightClass, "--output", "jsonpath={.status.pending}"); err != nil {
		return err
	}
	s.Say("Paused, it is not written even if somebody asks:")
	if err := errors.Join(s.setPaused(ctx, true), s.askNow(ctx, nightClass)); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, nightClass, "paused", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return e2e.Says(b, v1alpha1.ConditionApplied, v1alpha1.ReasonPaused)
	}); err != nil {
		return err
	}
	if err := errors.Join(s.expectBoots(ctx, nightClass, ""), s.showBinding(ctx, nightClass)); err != nil {
		return err
	}
	s.Say("No longer paused, what was asked for is done, window or not:")
	if err := s.setPaused(ctx, false); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, nightClass, "written", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return e2e.IsReady(b) && b.Status.AppliedSnapshotID == s.first && b.Status.LastHandledApplyNow != ""
	}); err != nil {
		return err
	}
	return errors.Join(s.expectBoots(ctx, nightClass, s.first), s.Show(ctx, "get", "ncb"))
}

func (s *Story) setPaused(ctx context.Context, paused bool) error {
	return s.Show(ctx, "patch", "ncb", nightClass, "--type", "merge", "--patch", fmt.Sprintf(`{"spec":{"rollout":{"paused":%t}}}`, paused))
}
