package fakeaws

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"
)

// The limits of the two lists: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListClusters.html, and
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServices.html
const (
	maxECSPage         = 100
	defaultECSClusters = 100
	defaultECSServices = 10
)

func (s *Server) listECSClusters(region string, in *ecs.ListClustersInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arns := []string{}
	for _, cluster := range s.ecs.clusters {
		if cluster.region == region {
			arns = append(arns, s.ecsARN(region, "cluster/"+cluster.name))
		}
	}
	part, next, err := ecsPage(arns, "clusters", defaultECSClusters, in.MaxResults, in.NextToken)
	return &ecs.ListClustersOutput{ClusterArns: part, NextToken: next}, err
}

// listECSServices leaves out services that were deleted, also while their tasks stop.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html
func (s *Server) listECSServices(region string, in *ecs.ListServicesInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkCluster(region, in.Cluster); err != nil {
		return nil, err
	}
	arns := []string{}
	for _, service := range s.ecs.services {
		if service.region == region && service.cluster == *in.Cluster && service.status(s) == statusActive {
			arns = append(arns, service.arn)
		}
	}
	part, next, err := ecsPage(arns, "services of "+*in.Cluster, defaultECSServices, in.MaxResults, in.NextToken)
	return &ecs.ListServicesOutput{ServiceArns: part, NextToken: next}, err
}

func ecsPage(arns []string, use string, usual int, most *int32, token *string) (part []string, next *string, err error) {
	size := usual
	if most != nil {
		size = int(*most)
	}
	if size < 1 || size > maxECSPage {
		return nil, nil, invalidECS("maxResults must be from 1 to %d.", maxECSPage)
	}
	part, after, ok := page(arns, use, size, token)
	if !ok {
		return nil, nil, invalidECS("Invalid token %q.", aws.ToString(token))
	}
	if after != "" {
		next = &after
	}
	return part, next, nil
}
