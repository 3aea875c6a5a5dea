package eks

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// What a node group's Status can be.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html
const (
	StatusActive       = string(types.NodegroupStatusActive)
	StatusCreating     = string(types.NodegroupStatusCreating)
	StatusUpdating     = string(types.NodegroupStatusUpdating)
	StatusDeleting     = string(types.NodegroupStatusDeleting)
	StatusCreateFailed = string(types.NodegroupStatusCreateFailed)
	StatusDeleteFailed = string(types.NodegroupStatusDeleteFailed)
	StatusDegraded     = string(types.NodegroupStatusDegraded)
)

// NodeGroup is what EKS says of a managed node group.
type NodeGroup struct {
	// Cluster and Name tell the group.
	Cluster, Name string
	// Status is one of the constants.
	Status string
	// CreateTime is when the group was made.
	CreateTime time.Time
	// AMIType is EKS's name of what the nodes boot: "BOTTLEROCKET_x86_64"; "CUSTOM" when the launch template says it.
	AMIType string
	// KubernetesVersion and ReleaseVersion are those of EKS's AMI: "1.34" and "1.34.1-20251112". Of a custom AMI the
	// release is its id.
	KubernetesVersion, ReleaseVersion string
	// CapacityType is "ON_DEMAND", "SPOT" or "CAPACITY_BLOCK".
	CapacityType string
	// InstanceTypes are those that the group itself names; empty when its launch template does.
	InstanceTypes []string
	// Template is the launch template that the group was made with; nil for a group without one.
	Template *Template
	// UpdateStrategy is "DEFAULT" or "MINIMAL", which removes nodes before it launches others.
	UpdateStrategy string
	// AutoScalingGroups are the names of those that EKS made for the group.
	AutoScalingGroups []string
	// DesiredSize and MaxSize are numbers of nodes.
	DesiredSize, MaxSize int
	// Issues are what EKS finds wrong with the group's health.
	Issues []Issue
	// Tags are the group's own; its nodes have others.
	Tags map[string]string
}

// Template names a version of a launch template, as a group does.
type Template struct {
	// ID and Name are the template's.
	ID, Name string
	// Version is a number, "$Latest" or "$Default"; EKS says a number of what it was given.
	Version string
}

// Issue is something that EKS says is wrong with a group, or with an update of it.
type Issue struct {
	// Code is EKS's own: "NodeCreationFailure".
	Code string
	// Message is in EKS's words.
	Message string
	// ResourceIDs are what it concerns: instances, nodes, subnets.
	ResourceIDs []string
}

// HasCustomAMI tells whether the launch template says what the nodes boot. EKS takes neither a Kubernetes version nor a
// release with an update of such a group.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html
func (g NodeGroup) HasCustomAMI() bool { return g.AMIType == string(types.AMITypesCustom) }

// Describe returns a node group. For one that does not exist, or whose cluster does not, the error is one for which
// IsNotFound of internal/aws holds.
func (c *Client) Describe(ctx context.Context, cluster, group string) (NodeGroup, error) {
	answer, err := c.eks.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &group})
	if err != nil {
		return NodeGroup{}, fmt.Errorf("describing node group %s of EKS cluster %s: %w", group, cluster, err)
	}
	return nodeGroupOf(answer.Nodegroup), nil
}

func nodeGroupOf(given *types.Nodegroup) NodeGroup {
	group := NodeGroup{
		Cluster: aws.ToString(given.ClusterName), Name: aws.ToString(given.NodegroupName),
		Status: string(given.Status), CreateTime: aws.ToTime(given.CreatedAt),
		AMIType: string(given.AmiType), CapacityType: string(given.CapacityType), InstanceTypes: given.InstanceTypes,
		KubernetesVersion: aws.ToString(given.Version), ReleaseVersion: aws.ToString(given.ReleaseVersion),
		Tags: given.Tags,
	}
	if template := given.LaunchTemplate; template != nil {
		group.Template = &Template{ID: aws.ToString(template.Id), Name: aws.ToString(template.Name), Version: aws.ToString(template.Version)}
	}
	if given.UpdateConfig != nil {
		group.UpdateStrategy = string(given.UpdateConfig.UpdateStrategy)
	}
	if given.ScalingConfig != nil {
		group.DesiredSize = int(aws.ToInt32(given.ScalingConfig.DesiredSize))
		group.MaxSize = int(aws.ToInt32(given.ScalingConfig.MaxSize))
	}
	if given.Resources != nil {
		for _, one := range given.Resources.AutoScalingGroups {
			group.AutoScalingGroups = append(group.AutoScalingGroups, aws.ToString(one.Name))
		}
	}
	if given.Health != nil {
		for _, issue := range given.Health.Issues {
			group.Issues = append(group.Issues, Issue{
				Code: string(issue.Code), Message: larderaws.Readable(aws.ToString(issue.Message)), ResourceIDs: issue.ResourceIds,
			})
		}
	}
	return group
}
