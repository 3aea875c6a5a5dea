package targets

import (
	"context"
	"errors"

	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/fakeaws/estate"
)

// launchesTried is how often Auto Scaling tries until an instance refresh has failed.
const launchesTried = 3

// fail has AWS launch nothing with a revision, and sees that everything goes back.
func (s *Story) fail(ctx context.Context) error {
	s.Say("The images change again. What nobody knows yet: AWS will launch nothing with the new snapshots:")
	aws := s.Stack.AWS
	aws.FailNextUpdate(estate.Cluster, estate.NodeGroup, fakeaws.NodeGroupIssue{
		Code: "AsgInstanceLaunchFailures", Message: "Could not launch On-Demand Instances. " + refused, ResourceIDs: []string{"eks-" + estate.NodeGroup},
	})
	aws.FailLaunches(estate.NumberedGroup, refused, launchesTried)
	if err := s.spoil(ctx, 3, inference, models); err != nil {
		return err
	}
	aws.SetFilesystem(s.bad[models], "xfs")
	if err := s.untilApplied(ctx, estate.Environment, s.bad[models]); err != nil {
		return err
	}
	aws.BreakComputeEnvironment(estate.Environment, "CLIENT_ERROR - "+refused)
	if err := s.untilApplied(ctx, estate.DefaultGroup, s.bad[inference]); err != nil {
		return err
	}
	aws.FailLaunches(estate.DefaultGroup, refused, 1)
	if err := s.estate.ScaleUp(ctx, estate.DefaultGroup); err != nil {
		return err
	}
	s.Say("Nobody touches anything. Each goes back to what it had, and says why in AWS's own words:")
	for _, one := range bindings {
		if one.name == weights {
			continue
		}
		if err := s.untilRolledBack(ctx, one, refusals[one.name]); err != nil {
			return err
		}
	}
	if err := s.until(ctx, "everything in AWS is as it was", func() (bool, error) { return s.expectInAWS(ctx, s.good) == nil, nil }); err != nil {
		return errors.Join(err, s.expectInAWS(ctx, s.good))
	}
	return errors.Join(s.showConsumers(ctx), s.showBindings(ctx))
}
