package launch

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// UpdateGroup has a group launch by another version of a template wherever it names a version of that template by a
// number; everything else of it stays as it is. It makes no call that changes nothing. An update has no precondition in
// Auto Scaling: the group is read again right before, and ErrGroupChanged is the answer when it launches by something else
// than the observed one did.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
func (c *Client) UpdateGroup(ctx context.Context, observed Group, templateID string, number int64) error {
	groups, err := c.Groups(ctx, []string{observed.Name})
	if err != nil {
		return err
	}
	current, exists := groups[observed.Name]
	if !exists || !slices.Equal(current.Launches, observed.Launches) && !current.isOn(templateID, number) {
		return fmt.Errorf("updating Auto Scaling group %s: %w", observed.Name, ErrGroupChanged)
	}
	if current.isOn(templateID, number) {
		return nil
	}
	input := &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &observed.Name}
	input.LaunchTemplate, input.MixedInstancesPolicy = current.on(templateID, number)
	if _, err := c.autoscaling.UpdateAutoScalingGroup(ctx, input); err != nil {
		return fmt.Errorf("updating Auto Scaling group %s to version %d of %s: %w", observed.Name, number, templateID, err)
	}
	return nil
}

// isOn tells whether a group names no version of the template by another number.
func (g Group) isOn(templateID string, number int64) bool {
	return !slices.ContainsFunc(g.Launches, func(one Specification) bool {
		named, numbered := one.Number()
		return one.TemplateID == templateID && numbered && named != number
	})
}

// on returns what the group launches by, with that number for the versions of the template that it names by a number. Auto
// Scaling refuses a template that is named by both id and name, as it tells them itself.
func (g Group) on(templateID string, number int64) (*types.LaunchTemplateSpecification, *types.MixedInstancesPolicy) {
	renumbered := func(given *types.LaunchTemplateSpecification) *types.LaunchTemplateSpecification {
		if given == nil {
			return nil
		}
		next := &types.LaunchTemplateSpecification{LaunchTemplateId: given.LaunchTemplateId, Version: given.Version}
		if next.LaunchTemplateId == nil {
			next.LaunchTemplateName = given.LaunchTemplateName
		}
		if _, numbered := specificationOf(given).Number(); numbered && aws.ToString(given.LaunchTemplateId) == templateID {
			next.Version = aws.String(strconv.FormatInt(number, 10))
		}
		return next
	}
	if g.policy == nil || g.policy.LaunchTemplate == nil {
		return renumbered(g.own), nil
	}
	policy, launches := *g.policy, *g.policy.LaunchTemplate
	launches.LaunchTemplateSpecification = renumbered(launches.LaunchTemplateSpecification)
	launches.Overrides = slices.Clone(launches.Overrides)
	for i := range launches.Overrides {
		launches.Overrides[i].LaunchTemplateSpecification = renumbered(launches.Overrides[i].LaunchTemplateSpecification)
	}
	policy.LaunchTemplate = &launches
	return nil, &policy
}
