package launch

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// groupsPerPage is the most that Auto Scaling gives at once.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
const groupsPerPage = 100

// template is a launch template as a group names it: by its id, or else by its name.
type template struct{ id, name string }

// String names the template in errors.
func (t template) String() string {
	return "launch template " + cmp.Or(t.id, t.name)
}

func (t template) compare(other template) int {
	return cmp.Or(cmp.Compare(t.id, other.id), cmp.Compare(t.name, other.name))
}

// references are the numbers of a template's versions that groups name, and the reasons for each.
type references map[template]map[string][]string

// namedByGroups returns every version that an Auto Scaling group names by its number. Those that a group calls the
// latest or the default one are not among them: they are in use with or without it.
func (c *Client) namedByGroups(ctx context.Context) (references, error) {
	named := references{}
	for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.autoscaling, &autoscaling.DescribeAutoScalingGroupsInput{
		MaxRecords: aws.Int32(groupsPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing Auto Scaling groups for the launch templates that they name: %w", err)
		}
		for _, group := range page.AutoScalingGroups {
			named.addGroup(group)
		}
	}
	return named, nil
}

func (r references) addGroup(group types.AutoScalingGroup) {
	name := aws.ToString(group.AutoScalingGroupName)
	launches := "named by Auto Scaling group " + name
	r.add(group.LaunchTemplate, launches)
	if policy := group.MixedInstancesPolicy; policy != nil && policy.LaunchTemplate != nil {
		r.add(policy.LaunchTemplate.LaunchTemplateSpecification, launches)
		for _, override := range policy.LaunchTemplate.Overrides {
			r.add(override.LaunchTemplateSpecification, launches)
		}
	}
	for _, instance := range group.Instances {
		r.add(instance.LaunchTemplate, "used by instances of Auto Scaling group "+name)
	}
}

func (r references) add(specification *types.LaunchTemplateSpecification, why string) {
	if specification == nil {
		return
	}
	of := template{aws.ToString(specification.LaunchTemplateId), aws.ToString(specification.LaunchTemplateName)}
	r.addVersion(of, aws.ToString(specification.Version), why)
}
