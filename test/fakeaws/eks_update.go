package fakeaws

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go"
)

func (s *Server) updateNodegroupVersion(region string, in *eks.UpdateNodegroupVersionInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.onceOfEKS(region, in.ClientRequestToken, in, func() (smithy.Serializable, error) {
		group, err := s.updatableNodeGroup(region, in.ClusterName, in.NodegroupName)
		if err != nil {
			return nil, err
		}
		then := group.NodeGroup
		if err := then.moveTo(in); err != nil {
			return nil, err
		}
		if err := s.checkTemplate(group, &then, in.LaunchTemplate); err != nil {
			return nil, err
		}
		update := s.begin(group, types.UpdateTypeVersionUpdate, then)
		update.force, update.failsWith, group.failNext = in.Force, group.failNext, nil
		update.params = []types.UpdateParam{{Type: types.UpdateParamTypeReleaseVersion, Value: aws.String(then.ReleaseVersion)}}
		if then.AMIType != string(types.AMITypesCustom) {
			update.params = append(update.params, types.UpdateParam{Type: types.UpdateParamTypeVersion, Value: aws.String(then.Version)})
		}
		if in.LaunchTemplate != nil {
			number := strconv.FormatInt(then.TemplateVersion, 10)
			update.params = append(update.params, types.UpdateParam{Type: types.UpdateParamTypeLaunchTemplateVersion, Value: &number})
		}
		return &eks.UpdateNodegroupVersionOutput{Update: update.describe()}, nil
	})
}

// updatableNodeGroup is called with the lock held.
func (s *Server) updatableNodeGroup(region string, cluster, name *string) (*nodeGroup, error) {
	group, err := s.existingNodeGroup(region, cluster, name)
	if err != nil {
		return nil, err
	}
	switch group.status() {
	case string(types.NodegroupStatusActive), string(types.NodegroupStatusDegraded):
		return group, nil
	}
	return nil, eksRefusal(http.StatusConflict, "ResourceInUseException", "Nodegroup cannot be updated as it is currently not in Active State")
}

// moveTo sets the Kubernetes version and the release that a call asks for, by saying them or by keeping silent.
func (g *NodeGroup) moveTo(in *eks.UpdateNodegroupVersionInput) error {
	if g.AMIType == string(types.AMITypesCustom) {
		if in.Version != nil || in.ReleaseVersion != nil {
			return eksInvalidParameter("You cannot specify the field kubernetesVersion or releaseVersion when using custom AMIs.")
		}
		return nil
	}
	before, release := g.Version, g.ReleaseVersion
	if g.Version = g.ClusterVersion; in.Version != nil {
		g.Version = *in.Version
	}
	if g.Version != before && g.Version != g.ClusterVersion {
		return eksInvalidParameter("Unsupported Kubernetes version %s", g.Version)
	}
	if g.ReleaseVersion = g.LatestReleaseVersion; in.ReleaseVersion != nil {
		g.ReleaseVersion = *in.ReleaseVersion
	}
	if g.ReleaseVersion != release && g.ReleaseVersion != g.LatestReleaseVersion || g.ReleaseVersion == release && g.Version != before {
		return eksInvalidParameter("Requested release version %s is not valid for kubernetes version %s.", g.ReleaseVersion, g.Version)
	}
	return nil
}

// checkTemplate sets the version of the launch template that a call asks for. It is called with the lock held.
func (s *Server) checkTemplate(group *nodeGroup, then *NodeGroup, asked *types.LaunchTemplateSpecification) error {
	switch {
	case asked == nil:
		return nil
	case group.TemplateID == "":
		return eksInvalidRequest("You cannot specify a launch template for a node group that was not created with one.")
	case (asked.Id == nil) == (asked.Name == nil):
		return eksInvalidParameter("Either provide launch template ID or launch template name in the request.")
	}
	template, err := s.template(group.region, asked.Id, asked.Name)
	if err != nil {
		return eksInvalidParameter("%v", err)
	}
	if template.id != group.TemplateID {
		return eksInvalidParameter("You cannot change the launch template of a node group: it was created with %s.", group.TemplateID)
	}
	name := defaultVersion
	if asked.Version != nil {
		name = *asked.Version
	}
	version, err := template.version(name)
	if err != nil {
		return eksInvalidParameter("%v", err)
	}
	custom := group.AMIType == string(types.AMITypesCustom)
	switch {
	case slices.Contains(s.options.Denied, "RunInstances"):
		return eksInvalidRequest("You are not authorized to launch instances with this launch template. Encoded authorization failure message: c2VjcmV0")
	case custom && version.data.ImageId == nil:
		return eksInvalidParameter("The launch template of a node group with a custom AMI must specify an image id.")
	case !custom && version.data.ImageId != nil:
		return eksInvalidParameter("You cannot specify an image id within the launch template, since your nodegroup is configured to use an EKS optimized AMI.")
	}
	then.TemplateVersion = version.number
	if custom {
		then.ReleaseVersion = *version.data.ImageId
	}
	return nil
}

// begin is called with the lock held.
func (s *Server) begin(group *nodeGroup, kind types.UpdateType, then NodeGroup) *nodeGroupUpdate {
	// Ids are in no order that tells anything.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", group.Cluster, group.Name, len(group.updates)))
	begun := &nodeGroupUpdate{
		id:   fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
		kind: kind, status: types.UpdateStatusInProgress, createdAt: s.options.Clock.Now(), then: then,
	}
	group.updates = append(group.updates, begun)
	return begun
}

func (s *Server) updateNodegroupConfig(region string, in *eks.UpdateNodegroupConfigInput) (smithy.Serializable, error) {
	if in.Labels != nil || in.Taints != nil || in.NodeRepairConfig != nil || in.WarmPoolConfig != nil || in.UpdateConfig != nil || in.ScalingConfig == nil {
		return nil, unmodelled("UpdateNodegroupConfig: anything but scalingConfig")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.onceOfEKS(region, in.ClientRequestToken, in, func() (smithy.Serializable, error) {
		group, err := s.updatableNodeGroup(region, in.ClusterName, in.NodegroupName)
		if err != nil {
			return nil, err
		}
		then := group.NodeGroup
		var params []types.UpdateParam
		sizes := in.ScalingConfig
		for _, size := range []struct {
			asked, held *int32
			kind        types.UpdateParamType
		}{
			{sizes.MinSize, &then.MinSize, types.UpdateParamTypeMinSize},
			{sizes.MaxSize, &then.MaxSize, types.UpdateParamTypeMaxSize},
			{sizes.DesiredSize, &then.DesiredSize, types.UpdateParamTypeDesiredSize},
		} {
			if size.asked != nil {
				*size.held = *size.asked
				params = append(params, types.UpdateParam{Type: size.kind, Value: aws.String(strconv.Itoa(int(*size.asked)))})
			}
		}
		if then.MinSize > then.DesiredSize || then.DesiredSize > then.MaxSize {
			return nil, eksInvalidParameter("The sizes min:%d desired:%d max:%d are not in this order.", then.MinSize, then.DesiredSize, then.MaxSize)
		}
		update := s.begin(group, types.UpdateTypeConfigUpdate, then)
		update.params = params
		return &eks.UpdateNodegroupConfigOutput{Update: update.describe()}, nil
	})
}

// onceOfEKS does what a client token asks for, or answers as the first time. It is called with the lock held.
func (s *Server) onceOfEKS(region string, token *string, in any, do func() (smithy.Serializable, error)) (smithy.Serializable, error) {
	result, err := s.once(region, token, in, func() (any, error) { return do() })
	var refusal *apiError
	if errors.As(err, &refusal) && refusal.code == "IdempotentParameterMismatch" {
		return nil, eksInvalidParameter("%s", refusal.message)
	}
	if err != nil {
		return nil, err
	}
	return result.(smithy.Serializable), nil
}
