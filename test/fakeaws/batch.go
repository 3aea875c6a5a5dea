package fakeaws

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
)

const (
	// mostEnvironments is how many names a call takes, and how many environments a page has.
	// https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeComputeEnvironments.html
	mostEnvironments = 100
	// BatchServiceRole is the name of Batch's service-linked role.
	BatchServiceRole = "AWSServiceRoleForBatch"
	healthyReason    = "ComputeEnvironment Healthy"
)

var environmentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`)

// computeEnvironment is guarded by Server.mu.
type computeEnvironment struct {
	region string
	detail types.ComputeEnvironmentDetail
	// settles is when the update that runs is over.
	settles time.Time
	// broken is why the next look at it, or the end of the update that runs, finds it invalid.
	broken string
	// launches are the versions that instances boot with. An update looks up the next ones when it begins, and finds out
	// then why nothing can be launched with them.
	launches, next []LaunchedTemplate
	failure        error
	updates        int
}

// ComputeEnvironment is what a test may want to know of one of Batch's.
type ComputeEnvironment struct {
	Name, Status, StatusReason string
	// Updates counts those that replaced all instances.
	Updates int
	// Launches are the versions that instances boot with, the environment's own first, then those of overrides.
	Launches []LaunchedTemplate
}

// LaunchedTemplate is a version of a launch template that instances of these types boot with; of no types for all others.
type LaunchedTemplate struct {
	TemplateID    string
	Version       int64
	InstanceTypes string
}

// ComputeEnvironments returns those of all Regions in the order in which they were made.
func (s *Server) ComputeEnvironments() []ComputeEnvironment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ComputeEnvironment
	for _, one := range s.environments {
		s.settleEnvironment(one)
		all = append(all, ComputeEnvironment{
			Name: *one.detail.ComputeEnvironmentName, Status: string(one.detail.Status), StatusReason: *one.detail.StatusReason,
			Updates: one.updates, Launches: slices.Clone(one.launches),
		})
	}
	return all
}

// BreakComputeEnvironment makes one of the server's own Region invalid for this reason: now, or when the update that runs
// ends. The next update mends it. It returns false if there is no such environment.
func (s *Server) BreakComputeEnvironment(name, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.environment(s.options.Region, name)
	if found == nil {
		return false
	}
	found.broken = reason
	return true
}

// environment is called with the lock held and returns nil for one that does not exist.
func (s *Server) environment(region, nameOrARN string) *computeEnvironment {
	for _, one := range s.environments {
		named := *one.detail.ComputeEnvironmentName == nameOrARN || *one.detail.ComputeEnvironmentArn == nameOrARN
		if named && one.region == region {
			return one
		}
	}
	return nil
}

func batchRefusal(format string, args ...any) *apiError {
	return refused("ClientException", format, args...)
}

func (s *Server) createComputeEnvironment(region string, in *batch.CreateComputeEnvironmentInput) (*batch.CreateComputeEnvironmentOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := aws.ToString(in.ComputeEnvironmentName)
	switch {
	case !environmentName.MatchString(name):
		return nil, batchRefusal("Error executing request, Exception : computeEnvironmentName is not valid")
	case s.environment(region, name) != nil:
		return nil, batchRefusal("Object already exists")
	case in.Type == types.CETypeManaged && in.ComputeResources == nil:
		return nil, batchRefusal("Error executing request, Exception : computeResources must be provided for a MANAGED compute environment")
	}
	s.environmentsMade++
	made := &computeEnvironment{region: region, detail: types.ComputeEnvironmentDetail{
		ComputeEnvironmentName:     &name,
		ComputeEnvironmentArn:      aws.String(fmt.Sprintf("arn:aws:batch:%s:%s:compute-environment/%s", region, s.options.AccountID, name)),
		Uuid:                       aws.String(fmt.Sprintf("00000000-0000-4000-8000-%012d", s.environmentsMade)),
		Type:                       in.Type,
		State:                      in.State,
		ServiceRole:                in.ServiceRole,
		EksConfiguration:           in.EksConfiguration,
		ComputeResources:           in.ComputeResources,
		ContainerOrchestrationType: types.OrchestrationTypeEcs,
		Status:                     types.CEStatusCreating,
		StatusReason:               aws.String(""),
	}}
	if in.State == "" {
		made.detail.State = types.CEStateEnabled
	}
	if in.ServiceRole == nil {
		made.detail.ServiceRole = aws.String(fmt.Sprintf("arn:aws:iam::%s:role/aws-service-role/batch.amazonaws.com/%s", s.options.AccountID, BatchServiceRole))
	}
	if in.EksConfiguration != nil {
		made.detail.ContainerOrchestrationType = types.OrchestrationTypeEks
	}
	if resources := in.ComputeResources; resources != nil {
		if resources.DesiredvCpus == nil {
			resources.DesiredvCpus = resources.MinvCpus
		}
		if err := checkSpecification(resources.LaunchTemplate); err != nil {
			return nil, err
		}
	}
	s.replaceInstances(made)
	s.environments = append(s.environments, made)
	return &batch.CreateComputeEnvironmentOutput{ComputeEnvironmentName: &name, ComputeEnvironmentArn: made.detail.ComputeEnvironmentArn}, nil
}

func (s *Server) describeComputeEnvironments(region string, in *batch.DescribeComputeEnvironmentsInput) (*batch.DescribeComputeEnvironmentsOutput, error) {
	size := mostEnvironments
	if in.MaxResults != nil {
		size = int(*in.MaxResults)
	}
	switch {
	case size < 1 || size > mostEnvironments:
		return nil, batchRefusal("Error executing request, Exception : maxResults must be between 1 and %d", mostEnvironments)
	case len(in.ComputeEnvironments) > mostEnvironments:
		return nil, batchRefusal("Error executing request, Exception : computeEnvironments has more than %d entries", mostEnvironments)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := map[*computeEnvironment]bool{}
	for _, name := range in.ComputeEnvironments {
		asked[s.environment(region, name)] = true
	}
	var chosen []types.ComputeEnvironmentDetail
	for _, one := range s.environments {
		if one.region == region && (len(in.ComputeEnvironments) == 0 || asked[one]) {
			s.settleEnvironment(one)
			chosen = append(chosen, one.detail)
		}
	}
	part, next, ok := page(chosen, "environments", size, in.NextToken)
	if !ok {
		return nil, batchRefusal("Error executing request, Exception : nextToken is not valid")
	}
	out := &batch.DescribeComputeEnvironmentsOutput{ComputeEnvironments: part}
	if next != "" {
		out.NextToken = &next
	}
	return out, nil
}

func (s *Server) deleteComputeEnvironment(region string, in *batch.DeleteComputeEnvironmentInput) (*batch.DeleteComputeEnvironmentOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.environment(region, aws.ToString(in.ComputeEnvironment))
	if found == nil {
		return &batch.DeleteComputeEnvironmentOutput{}, nil
	}
	if s.settleEnvironment(found); found.isChanging() {
		return nil, batchRefusal("Cannot delete, resource is being modified")
	}
	if found.detail.State != types.CEStateDisabled {
		return nil, batchRefusal("Cannot delete, resource must be DISABLED first")
	}
	s.environments = slices.DeleteFunc(s.environments, func(one *computeEnvironment) bool { return one == found })
	return &batch.DeleteComputeEnvironmentOutput{}, nil
}

func (e *computeEnvironment) isChanging() bool {
	return e.detail.Status == types.CEStatusCreating || e.detail.Status == types.CEStatusUpdating
}

// settleEnvironment ends the update that runs, if its time is up. It is called with the lock held.
func (s *Server) settleEnvironment(one *computeEnvironment) {
	if one.isChanging() {
		if s.options.Clock.Now().Before(one.settles) {
			return
		}
		one.detail.Status, one.detail.StatusReason = types.CEStatusValid, aws.String(healthyReason)
		one.launches = one.next
		if one.failure != nil && one.broken == "" {
			one.broken = "CLIENT_ERROR - " + one.failure.Error()
		}
	}
	if one.broken != "" {
		one.detail.Status, one.detail.StatusReason = types.CEStatusInvalid, &one.broken
	}
}

// replaceInstances begins what takes its time. It is called with the lock held.
func (s *Server) replaceInstances(one *computeEnvironment) {
	one.settles = s.options.Clock.Now().Add(s.options.ComputeEnvironmentFor)
	one.broken, one.next = "", nil
	one.failure = s.launchEnvironment(one)
}

// launchEnvironment looks up the versions that instances are to boot with, and their snapshots if there are to be instances.
func (s *Server) launchEnvironment(one *computeEnvironment) error {
	if one.detail.ComputeResources == nil || one.detail.ComputeResources.LaunchTemplate == nil {
		return nil
	}
	var problems []error
	specification := one.detail.ComputeResources.LaunchTemplate
	look := func(id, name, version *string, instanceTypes []string) {
		found, err := s.template(one.region, id, name)
		if err != nil {
			problems = append(problems, err)
			return
		}
		if aws.ToString(version) == "" {
			version = aws.String(defaultVersion)
		}
		resolved, err := found.version(*version)
		if err != nil {
			problems = append(problems, err)
			return
		}
		one.next = append(one.next, LaunchedTemplate{found.id, resolved.number, strings.Join(instanceTypes, " ")})
		if aws.ToInt32(one.detail.ComputeResources.DesiredvCpus) > 0 {
			problems = append(problems, s.missingSnapshots(one.region, resolved))
		}
	}
	if specification.LaunchTemplateId != nil || specification.LaunchTemplateName != nil {
		look(specification.LaunchTemplateId, specification.LaunchTemplateName, specification.Version, nil)
	}
	for _, override := range specification.Overrides {
		look(override.LaunchTemplateId, override.LaunchTemplateName, override.Version, override.TargetInstanceTypes)
	}
	return errors.Join(problems...)
}

func (s *Server) missingSnapshots(region string, of *templateVersion) error {
	for _, device := range of.data.BlockDeviceMappings {
		if device.Ebs == nil || device.Ebs.SnapshotId == nil {
			continue
		}
		if _, ok := s.visible(region, *device.Ebs.SnapshotId); !ok {
			return ec2Error("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", *device.Ebs.SnapshotId)
		}
	}
	return nil
}
