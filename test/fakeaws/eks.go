package fakeaws

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go"
)

// NodeGroup is an EKS managed node group. A cluster exists as long as it has one.
type NodeGroup struct {
	// Cluster and Name tell the group.
	Cluster, Name string
	// AMIType and CapacityType default to BOTTLEROCKET_x86_64 and ON_DEMAND.
	AMIType, CapacityType string
	// Version and ReleaseVersion are the AMI's, by default 1.34 and one of it.
	Version, ReleaseVersion string
	// ClusterVersion and LatestReleaseVersion are what an update goes to that does not say; by default newer ones.
	ClusterVersion, LatestReleaseVersion string
	// TemplateID is empty for a group without a launch template; TemplateVersion is a number.
	TemplateID      string
	TemplateVersion int64
	InstanceTypes   []string
	// UpdateStrategy defaults to DEFAULT.
	UpdateStrategy string
	// MinSize, MaxSize and DesiredSize are numbers of nodes.
	MinSize, MaxSize, DesiredSize int32
	// Status is ACTIVE by default. While an update runs it is UPDATING, whatever is said here.
	Status string
	Issues []NodeGroupIssue
	Tags   map[string]string
}

// NodeGroupIssue is what EKS says is wrong with a group or an update.
type NodeGroupIssue struct {
	Code, Message string
	ResourceIDs   []string
}

// nodeGroup is guarded by Server.mu.
type nodeGroup struct {
	NodeGroup
	region    string
	createdAt time.Time
	updates   []*nodeGroupUpdate
	// failNext are what the next update fails with; nil for none.
	failNext []NodeGroupIssue
}

// AddNodeGroup makes a node group in the server's own Region.
func (s *Server) AddNodeGroup(given NodeGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	given.AMIType = cmp.Or(given.AMIType, string(types.AMITypesBottlerocketX8664))
	given.CapacityType = cmp.Or(given.CapacityType, string(types.CapacityTypesOnDemand))
	given.Version = cmp.Or(given.Version, "1.34")
	given.ReleaseVersion = cmp.Or(given.ReleaseVersion, "1.49.0-0a1b2c3d")
	given.ClusterVersion = cmp.Or(given.ClusterVersion, "1.35")
	given.LatestReleaseVersion = cmp.Or(given.LatestReleaseVersion, "1.51.0-9f8e7d6c")
	given.UpdateStrategy = cmp.Or(given.UpdateStrategy, string(types.NodegroupUpdateStrategiesDefault))
	given.Status = cmp.Or(given.Status, string(types.NodegroupStatusActive))
	s.nodeGroups = append(s.nodeGroups, &nodeGroup{NodeGroup: given, region: s.options.Region, createdAt: s.options.Clock.Now()})
}

// NodeGroup returns a group of the server's own Region as it is now; false for one that does not exist.
func (s *Server) NodeGroup(cluster, name string) (NodeGroup, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.nodeGroup(s.options.Region, cluster, name)
	if found == nil {
		return NodeGroup{}, false
	}
	s.settle(found)
	return found.NodeGroup, true
}

// SetNodeGroupHealth gives a group a status and issues; it returns false if there is no such group.
func (s *Server) SetNodeGroupHealth(cluster, name, status string, issues ...NodeGroupIssue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.nodeGroup(s.options.Region, cluster, name)
	if found != nil {
		found.Status, found.Issues = status, issues
	}
	return found != nil
}

// FailNextUpdate has the next version update of a group fail; it returns false if there is no such group.
func (s *Server) FailNextUpdate(cluster, name string, issues ...NodeGroupIssue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.nodeGroup(s.options.Region, cluster, name)
	if found != nil {
		found.failNext = issues
	}
	return found != nil
}

// RemoveNodeGroup makes a group go; it returns false if there is none.
func (s *Server) RemoveNodeGroup(cluster, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.nodeGroup(s.options.Region, cluster, name)
	s.nodeGroups = slices.DeleteFunc(s.nodeGroups, func(one *nodeGroup) bool { return one == found })
	return found != nil
}

// nodeGroup is called with the lock held and returns nil for a group that does not exist.
func (s *Server) nodeGroup(region, cluster, name string) *nodeGroup {
	for _, one := range s.nodeGroups {
		if one.region == region && one.Cluster == cluster && one.Name == name {
			return one
		}
	}
	return nil
}

// existingNodeGroup is called with the lock held.
func (s *Server) existingNodeGroup(region string, cluster, name *string) (*nodeGroup, error) {
	found := s.nodeGroup(region, aws.ToString(cluster), aws.ToString(name))
	if found != nil {
		s.settle(found)
		return found, nil
	}
	for _, one := range s.nodeGroups {
		if one.region == region && one.Cluster == aws.ToString(cluster) {
			return nil, eksNotFound("No node group found for name: %s.", aws.ToString(name))
		}
	}
	return nil, eksNotFound("No cluster found for name: %s.", aws.ToString(cluster))
}

func (s *Server) describeNodegroup(region string, in *eks.DescribeNodegroupInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.existingNodeGroup(region, in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	described := &types.Nodegroup{
		ClusterName: aws.String(found.Cluster), NodegroupName: aws.String(found.Name),
		NodegroupArn: aws.String("arn:aws:eks:" + region + ":" + s.options.AccountID + ":nodegroup/" + found.Cluster + "/" + found.Name + "/fakeaws"),
		CreatedAt:    aws.Time(found.createdAt), ModifiedAt: aws.Time(found.createdAt),
		AmiType: types.AMITypes(found.AMIType), CapacityType: types.CapacityTypes(found.CapacityType), InstanceTypes: found.InstanceTypes,
		Version: aws.String(found.Version), ReleaseVersion: aws.String(found.ReleaseVersion), Status: types.NodegroupStatus(found.status()),
		ScalingConfig: &types.NodegroupScalingConfig{MinSize: &found.MinSize, MaxSize: &found.MaxSize, DesiredSize: &found.DesiredSize},
		UpdateConfig:  &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(1), UpdateStrategy: types.NodegroupUpdateStrategies(found.UpdateStrategy)},
		Resources: &types.NodegroupResources{AutoScalingGroups: []types.AutoScalingGroup{
			{Name: aws.String("eks-" + found.Name + "-fakeaws")},
		}},
		Health: &types.NodegroupHealth{Issues: []types.Issue{}},
		Tags:   maps.Clone(found.Tags),
	}
	for _, issue := range found.Issues {
		described.Health.Issues = append(described.Health.Issues, types.Issue{
			Code: types.NodegroupIssueCode(issue.Code), Message: aws.String(issue.Message), ResourceIds: issue.ResourceIDs,
		})
	}
	if found.TemplateID != "" {
		described.LaunchTemplate = &types.LaunchTemplateSpecification{
			Id: aws.String(found.TemplateID), Version: aws.String(strconv.FormatInt(found.TemplateVersion, 10)),
		}
		if template, err := s.template(region, &found.TemplateID, nil); err == nil {
			described.LaunchTemplate.Name = &template.name
		}
	}
	return &eks.DescribeNodegroupOutput{Nodegroup: described}, nil
}

func (g *nodeGroup) status() string {
	if g.running() != nil {
		return string(types.NodegroupStatusUpdating)
	}
	return g.Status
}
