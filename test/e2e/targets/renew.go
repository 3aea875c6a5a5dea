package targets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/fakeaws/estate"
)

// renew has the images change, and everything follow.
func (s *Story) renew(ctx context.Context) error {
	s.Say("The images change:")
	if err := s.publish(ctx, 2, images...); err != nil {
		return err
	}
	for _, one := range bindings {
		if err := s.untilApplied(ctx, one.name, s.good[one.snapshot]); err != nil {
			return err
		}
	}
	if err := s.launchByDefault(ctx); err != nil {
		return err
	}
	s.Say("Every binding has asked for it. New claims get it at once, under the same name:")
	if err := s.untilServed(ctx, bindingOf(weights)); err != nil {
		return err
	}
	return s.showVolumes(ctx)
}

func bindingOf(name string) bound {
	for _, one := range bindings {
		if one.name == name {
			return one
		}
	}
	panic("no binding has the name " + name)
}

// spoilVolumes has the CSI driver refuse a snapshot. It is given two minutes, in which the story goes on.
func (s *Story) spoilVolumes(ctx context.Context) error {
	s.Say("The weights change once more. What nobody knows yet: the CSI driver can make no volume of this snapshot:")
	if err := s.spoil(ctx, 3, weights); err != nil {
		return err
	}
	s.broken[s.bad[weights]] = true
	if err := s.untilApplied(ctx, weights, s.bad[weights]); err != nil {
		return err
	}
	if err := s.until(ctx, "the CSI driver says that it cannot", func() (bool, error) {
		contents, err := s.contents(ctx)
		for _, content := range contents {
			if content.Status != nil && content.Status.Error != nil {
				return true, err
			}
		}
		return false, err
	}); err != nil {
		return err
	}
	s.Say("The driver tries again by itself, and has two minutes for it:")
	return s.showVolumes(ctx)
}

// spoil has revisions of ImageCacheSnapshots made, which something will be wrong with.
func (s *Story) spoil(ctx context.Context, number int64, names ...string) error {
	manifest, err := s.release(ctx, number, names...)
	if err != nil {
		return err
	}
	if err := s.apply(ctx, "images-"+strings.Join(names, "-")+".yaml", manifest); err != nil {
		return err
	}
	for _, name := range names {
		if s.bad[name], err = s.revision(ctx, name, number); err != nil {
			return err
		}
	}
	return nil
}

// renewed sees AWS be done with the second revision.
func (s *Story) renewed(ctx context.Context) error {
	s.Say("Meanwhile AWS has replaced nodes and tasks:")
	for _, one := range bindings {
		if one.name == weights {
			continue
		}
		if err := s.untilServed(ctx, one); err != nil {
			return err
		}
	}
	return errors.Join(s.expectInAWS(ctx, s.good), s.showConsumers(ctx), s.showBindings(ctx))
}

// heal has a good revision replace all that were refused.
func (s *Story) heal(ctx context.Context) error {
	s.Say("Two minutes are over, and the weights are those of before, too:")
	if err := s.untilRolledBack(ctx, bindingOf(weights), driverSays); err != nil {
		return err
	}
	if err := s.until(ctx, "new claims get the weights of before", func() (bool, error) {
		got, err := s.claimsGet(ctx)
		return got == s.good[weights], err
	}); err != nil {
		return err
	}
	if err := s.showVolumes(ctx); err != nil {
		return err
	}
	s.Say("What was wrong is mended with the next images. Nobody has to tell the bindings:")
	if err := s.publish(ctx, 4, images...); err != nil {
		return err
	}
	if err := s.untilAllServed(ctx); err != nil {
		return err
	}
	return errors.Join(s.showConsumers(ctx), s.showBindings(ctx))
}

// untilRolledBack waits until a binding has gone back to the newest good snapshot, and says why in AWS's, or the driver's,
// own words.
func (s *Story) untilRolledBack(ctx context.Context, one bound, words string) error {
	good, bad := s.good[one.snapshot], s.bad[one.snapshot]
	if err := s.untilBinding(ctx, one.name, "rolled back to "+good, func(b *v1alpha1.NodeClassBinding) bool {
		return e2e.Says(b, v1alpha1.ConditionReady, v1alpha1.ReasonRolledBack) && b.Status.RejectedSnapshotID == bad && b.Status.AppliedSnapshotID == good
	}); err != nil {
		return err
	}
	b, err := s.Stack.Binding(ctx, one.name)
	if err == nil && !strings.Contains(b.Status.RejectedBecause, words) {
		err = fmt.Errorf("NodeClassBinding %s rejected %s because %q, want the words %q in it", one.name, bad, b.Status.RejectedBecause, words)
	}
	if err == nil {
		fmt.Fprintf(s.Out, "%s: %s\n", one.name, b.Status.RejectedBecause)
	}
	return err
}

// refused is what EC2 says of a launch that needs a key which is not to be had.
const refused = "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"

// refusals are what is said of the bad revision, by bindings.
var refusals = map[string]string{
	estate.NodeGroup:     "AsgInstanceLaunchFailures: Could not launch On-Demand Instances. " + refused,
	estate.DefaultGroup:  refused,
	estate.NumberedGroup: "replacement instances cannot be launched",
	estate.Environment:   "CLIENT_ERROR - " + refused,
	estate.Service:       "was unable to start a task. Reason: Failed to mount the volume",
}
