package fakeaws

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go"
)

// nodeGroupUpdate is what was asked of EKS for a group.
type nodeGroupUpdate struct {
	id        string
	kind      types.UpdateType
	status    types.UpdateStatus
	createdAt time.Time
	params    []types.UpdateParam
	errors    []NodeGroupIssue
	// then is the group if the update succeeds, and force tells that pods were not to hold it up.
	then  NodeGroup
	force bool
	// failsWith is what it was told to fail with; nil for nothing.
	failsWith []NodeGroupIssue
}

// NodeGroupUpdate is what a test may want to know of an update.
type NodeGroupUpdate struct {
	ID, Status                                         string
	TemplateVersion, KubernetesVersion, ReleaseVersion string
	Force                                              bool
	Errors                                             []NodeGroupIssue
}

// NodeGroupUpdates returns the version updates of a group of the server's own Region, the oldest first.
func (s *Server) NodeGroupUpdates(cluster, name string) []NodeGroupUpdate {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.nodeGroup(s.options.Region, cluster, name)
	if found == nil {
		return nil
	}
	s.settle(found)
	var all []NodeGroupUpdate
	for _, one := range found.updates {
		if one.kind == types.UpdateTypeVersionUpdate {
			all = append(all, NodeGroupUpdate{
				ID: one.id, Status: string(one.status), Force: one.force, Errors: one.errors,
				TemplateVersion:   one.param(types.UpdateParamTypeLaunchTemplateVersion),
				KubernetesVersion: one.param(types.UpdateParamTypeVersion), ReleaseVersion: one.param(types.UpdateParamTypeReleaseVersion),
			})
		}
	}
	return all
}

func (u *nodeGroupUpdate) param(kind types.UpdateParamType) string {
	for _, param := range u.params {
		if param.Type == kind {
			return aws.ToString(param.Value)
		}
	}
	return ""
}

// running returns the update that is in progress; nil when none is.
func (g *nodeGroup) running() *nodeGroupUpdate {
	for _, one := range g.updates {
		if one.status == types.UpdateStatusInProgress {
			return one
		}
	}
	return nil
}

// settle ends the update whose time is up. It is called with the lock held.
func (s *Server) settle(group *nodeGroup) {
	update := group.running()
	if update == nil || s.options.Clock.Now().Before(update.createdAt.Add(s.options.NodeGroupUpdateFor)) {
		return
	}
	if update.errors = update.failsWith; update.errors == nil && update.kind == types.UpdateTypeVersionUpdate {
		update.errors = s.whyNoneLaunches(group.region, update.then)
	}
	if len(update.errors) > 0 {
		update.status = types.UpdateStatusFailed
		return
	}
	update.status = types.UpdateStatusSuccessful
	if update.kind == types.UpdateTypeVersionUpdate {
		update.then.Status, update.then.Issues = string(types.NodegroupStatusActive), nil
	}
	group.NodeGroup = update.then
}

// whyNoneLaunches says what keeps instances from being launched for a group; nil when nothing does.
func (s *Server) whyNoneLaunches(region string, group NodeGroup) []NodeGroupIssue {
	if group.TemplateID == "" || group.DesiredSize == 0 {
		return nil
	}
	template, err := s.template(region, &group.TemplateID, nil)
	if err != nil {
		return []NodeGroupIssue{{Code: "Ec2LaunchTemplateNotFound", Message: err.Error(), ResourceIDs: []string{group.TemplateID}}}
	}
	version, err := template.version(strconv.FormatInt(group.TemplateVersion, 10))
	if err != nil {
		return []NodeGroupIssue{{Code: "Ec2LaunchTemplateNotFound", Message: err.Error(), ResourceIDs: []string{group.TemplateID}}}
	}
	for _, device := range version.data.BlockDeviceMappings {
		if device.Ebs == nil || device.Ebs.SnapshotId == nil {
			continue
		}
		if _, ok := s.visible(region, *device.Ebs.SnapshotId); !ok {
			return []NodeGroupIssue{{
				Code: "AsgInstanceLaunchFailures",
				Message: fmt.Sprintf("Could not launch On-Demand Instances. InvalidBlockDeviceMapping - The snapshot '%s' does not exist. "+
					"Launching EC2 instance failed.", *device.Ebs.SnapshotId),
				ResourceIDs: []string{"eks-" + group.Name + "-fakeaws"},
			}}
		}
	}
	return nil
}

// Updates on a page: https://docs.aws.amazon.com/eks/latest/APIReference/API_ListUpdates.html
const maxUpdatesPerPage = 100

func (s *Server) listUpdates(region string, in *eks.ListUpdatesInput) (smithy.Serializable, error) {
	if in.NodegroupName == nil || in.AddonName != nil || in.CapabilityName != nil {
		return nil, unmodelled("ListUpdates: of anything but a node group")
	}
	size := maxUpdatesPerPage
	if in.MaxResults != nil {
		size = int(*in.MaxResults)
	}
	if size < 1 || size > maxUpdatesPerPage {
		return nil, eksInvalidParameter("maxResults must be between 1 and %d, not %d.", maxUpdatesPerPage, size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	group, err := s.existingNodeGroup(region, in.Name, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for _, one := range group.updates {
		ids = append(ids, one.id)
	}
	slices.Sort(ids)
	part, next, ok := page(ids, "updates", size, in.NextToken)
	if !ok {
		return nil, eksInvalidParameter("The token '%s' is invalid.", *in.NextToken)
	}
	out := &eks.ListUpdatesOutput{UpdateIds: part}
	if next != "" {
		out.NextToken = &next
	}
	return out, nil
}

func (s *Server) describeUpdate(region string, in *eks.DescribeUpdateInput) (smithy.Serializable, error) {
	if in.NodegroupName == nil || in.AddonName != nil || in.CapabilityName != nil {
		return nil, unmodelled("DescribeUpdate: of anything but a node group")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	group, err := s.existingNodeGroup(region, in.Name, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	for _, one := range group.updates {
		if one.id == aws.ToString(in.UpdateId) {
			return &eks.DescribeUpdateOutput{Update: one.describe()}, nil
		}
	}
	return nil, eksNotFound("No update found for ID: %s", aws.ToString(in.UpdateId))
}

func (u *nodeGroupUpdate) describe() *types.Update {
	described := &types.Update{
		Id: aws.String(u.id), Type: u.kind, Status: u.status, CreatedAt: aws.Time(u.createdAt), Params: u.params, Errors: []types.ErrorDetail{},
	}
	for _, failure := range u.errors {
		described.Errors = append(described.Errors, types.ErrorDetail{
			ErrorCode: types.ErrorCode(failure.Code), ErrorMessage: aws.String(failure.Message), ResourceIds: failure.ResourceIDs,
		})
	}
	return described
}
