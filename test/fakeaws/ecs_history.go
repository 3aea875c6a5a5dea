package fakeaws

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// The limits of ListServiceDeployments, DescribeServiceDeployments and DescribeServiceRevisions:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServiceDeployments.html
const (
	defaultRollouts = 20
	maxRollouts     = 100
	maxDescribed    = 20
)

// rolloutsKept: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html
const rolloutsKept = 90 * 24 * time.Hour

func (s *Server) listServiceDeployments(region string, in *ecs.ListServiceDeploymentsInput) (smithy.Serializable, error) {
	size, start := defaultRollouts, 0
	if in.MaxResults != nil {
		size = int(*in.MaxResults)
	}
	if size < 1 || size > maxRollouts {
		return nil, invalidECS("maxResults must be from 1 to %d.", maxRollouts)
	}
	if in.NextToken != nil {
		given := parseToken(*in.NextToken)
		if given.Use != "rollouts" {
			return nil, invalidECS("Invalid token.")
		}
		start = int(given.Index)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	service, err := s.activeService(region, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	s.advance(service)
	var newest []*ecsRollout
	for _, rollout := range slices.Backward(service.rollouts) {
		if rollout.createdAt.Add(rolloutsKept).After(s.options.Clock.Now()) {
			newest = append(newest, rollout)
		}
	}
	out := &ecs.ListServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeploymentBrief{}}
	for _, rollout := range newest[min(start, len(newest)):min(start+size, len(newest))] {
		out.ServiceDeployments = append(out.ServiceDeployments, types.ServiceDeploymentBrief{
			ServiceArn: aws.String(service.arn), ServiceDeploymentArn: aws.String(rollout.arn),
			CreatedAt: aws.Time(rollout.createdAt), StartedAt: aws.Time(rollout.createdAt), FinishedAt: finished(rollout.finishedAt),
			Status: rollout.status, StatusReason: aws.String(rollout.reason), TargetServiceRevisionArn: aws.String(rollout.target.arn),
		})
	}
	if start+size < len(newest) {
		out.NextToken = aws.String(token{Use: "rollouts", Index: int32(start + size)}.String()) //nolint:gosec // A test makes no such number.
	}
	return out, nil
}

func finished(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

func (s *Server) describeServiceDeployments(region string, in *ecs.DescribeServiceDeploymentsInput) (smithy.Serializable, error) {
	if len(in.ServiceDeploymentArns) == 0 || len(in.ServiceDeploymentArns) > maxDescribed {
		return nil, invalidECS("serviceDeploymentArns must have 1 to %d.", maxDescribed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &ecs.DescribeServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeployment{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceDeploymentArns {
		service, rollout := s.rollout(region, arn)
		if rollout == nil {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		described := types.ServiceDeployment{
			ServiceArn: aws.String(service.arn), ServiceDeploymentArn: aws.String(arn), Status: rollout.status,
			StatusReason: aws.String(rollout.reason), CreatedAt: aws.Time(rollout.createdAt), FinishedAt: finished(rollout.finishedAt),
			TargetServiceRevision: &types.ServiceRevisionSummary{Arn: aws.String(rollout.target.arn), RequestedTaskCount: service.desired},
			Rollback:              rollout.rollback,
		}
		for _, source := range rollout.sources {
			described.SourceServiceRevisions = append(described.SourceServiceRevisions, types.ServiceRevisionSummary{Arn: aws.String(source.arn)})
		}
		out.ServiceDeployments = append(out.ServiceDeployments, described)
	}
	return out, nil
}

func (s *Server) rollout(region, arn string) (*ecsService, *ecsRollout) {
	for _, service := range s.ecs.services {
		for _, rollout := range service.rollouts {
			if service.region == region && rollout.arn == arn {
				s.advance(service)
				return service, rollout
			}
		}
	}
	return nil, nil
}

func (s *Server) describeServiceRevisions(region string, in *ecs.DescribeServiceRevisionsInput) (smithy.Serializable, error) {
	if len(in.ServiceRevisionArns) == 0 || len(in.ServiceRevisionArns) > maxDescribed {
		return nil, invalidECS("serviceRevisionArns must have 1 to %d.", maxDescribed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &ecs.DescribeServiceRevisionsOutput{ServiceRevisions: []types.ServiceRevision{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceRevisionArns {
		service, revision := s.revision(region, arn)
		if revision == nil {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		out.ServiceRevisions = append(out.ServiceRevisions, types.ServiceRevision{
			ServiceArn: aws.String(service.arn), ServiceRevisionArn: aws.String(arn), CreatedAt: aws.Time(revision.createdAt),
			TaskDefinition: aws.String(revision.definition), VolumeConfigurations: revision.volumes,
		})
	}
	return out, nil
}

func (s *Server) revision(region, arn string) (*ecsService, *ecsRevision) {
	for _, service := range s.ecs.services {
		for _, revision := range service.revisions {
			if service.region == region && revision.arn == arn {
				return service, revision
			}
		}
	}
	return nil, nil
}
