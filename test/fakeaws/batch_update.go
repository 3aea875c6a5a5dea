package fakeaws

import (
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
)

// mostOverrides is how many overrides a launch template has.
// https://docs.aws.amazon.com/batch/latest/APIReference/API_LaunchTemplateSpecification.html
const mostOverrides = 10

func (s *Server) updateComputeEnvironment(region string, in *batch.UpdateComputeEnvironmentInput) (*batch.UpdateComputeEnvironmentOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.environment(region, aws.ToString(in.ComputeEnvironment))
	if found == nil {
		return nil, batchRefusal("Error executing request, Exception : The specified compute environment %s does not exist", aws.ToString(in.ComputeEnvironment))
	}
	if s.settleEnvironment(found); found.isChanging() {
		return nil, batchRefusal("Cannot update, resource is being modified")
	}
	replaces, err := found.replacesInstances(in.ComputeResources)
	if err != nil {
		return nil, err
	}
	if in.State != "" {
		found.detail.State = in.State
	}
	if in.ComputeResources != nil {
		found.resize(in.ComputeResources)
	}
	if replaces {
		whole := *found.detail.ComputeResources
		whole.LaunchTemplate = in.ComputeResources.LaunchTemplate
		found.detail.ComputeResources = &whole
		found.detail.Status, found.detail.StatusReason = types.CEStatusUpdating, aws.String("")
		s.replaceInstances(found)
		found.updates++
	}
	return &batch.UpdateComputeEnvironmentOutput{
		ComputeEnvironmentName: found.detail.ComputeEnvironmentName, ComputeEnvironmentArn: found.detail.ComputeEnvironmentArn,
	}, nil
}

// replacesInstances tells whether an update is one of the infrastructure, and refuses it for an environment that has none
// or cannot have it changed.
func (e *computeEnvironment) replacesInstances(update *types.ComputeResourceUpdate) (bool, error) {
	switch {
	case update == nil:
		return false, nil
	case e.detail.Type != types.CETypeManaged:
		return false, batchRefusal("Error executing request, Exception : computeResources can't be updated for an UNMANAGED compute environment")
	case update.LaunchTemplate == nil:
		return false, nil
	}
	if err := checkSpecification(update.LaunchTemplate); err != nil {
		return false, err
	}
	role := aws.ToString(e.detail.ServiceRole)
	switch resources := e.detail.ComputeResources; {
	case strings.HasPrefix(string(resources.Type), string(types.CRTypeFargate)):
		return false, batchRefusal("The following parameters can't be updated for Fargate compute environment: launchTemplate.")
	case reflect.DeepEqual(resources.LaunchTemplate, update.LaunchTemplate):
		return false, nil
	case !strings.HasSuffix(role, "/"+BatchServiceRole):
		return false, batchRefusal("ServiceRole must be the %s service-linked role to update the launchTemplate.", BatchServiceRole)
	case resources.AllocationStrategy == "" || resources.AllocationStrategy == types.CRAllocationStrategyBestFit:
		return false, batchRefusal("Compute environments with the BEST_FIT allocation strategy can't be updated in place.")
	}
	return true, nil
}

// resize carries out an update that replaces no instance.
func (e *computeEnvironment) resize(update *types.ComputeResourceUpdate) {
	if e.detail.ComputeResources == nil {
		return
	}
	resized := *e.detail.ComputeResources
	for _, size := range []struct {
		asked *int32
		held  **int32
	}{{update.MinvCpus, &resized.MinvCpus}, {update.MaxvCpus, &resized.MaxvCpus}, {update.DesiredvCpus, &resized.DesiredvCpus}} {
		if size.asked != nil {
			*size.held = size.asked
		}
	}
	e.detail.ComputeResources = &resized
}

// checkSpecification does not ask whether templates and versions exist: Batch finds that out later.
func checkSpecification(given *types.LaunchTemplateSpecification) error {
	if given == nil {
		return nil
	}
	if given.LaunchTemplateId != nil && given.LaunchTemplateName != nil {
		return batchRefusal("Error executing request, Exception : Specify either launchTemplateId or launchTemplateName, not both")
	}
	if given.LaunchTemplateId == nil && given.LaunchTemplateName == nil && len(given.Overrides) == 0 {
		return batchRefusal("Error executing request, Exception : launchTemplateId or launchTemplateName must be specified")
	}
	if len(given.Overrides) > mostOverrides {
		return batchRefusal("Error executing request, Exception : %d launch template overrides are more than %d", len(given.Overrides), mostOverrides)
	}
	for _, override := range given.Overrides {
		if (override.LaunchTemplateId == nil) == (override.LaunchTemplateName == nil) {
			return batchRefusal("Error executing request, Exception : A launch template override takes one of launchTemplateId and launchTemplateName")
		}
		if len(override.TargetInstanceTypes) == 0 {
			return batchRefusal("Error executing request, Exception : A launch template override needs targetInstanceTypes")
		}
	}
	return nil
}
