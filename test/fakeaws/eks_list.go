package fakeaws

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/smithy-go"
)

// maxEKSPage: https://docs.aws.amazon.com/eks/latest/APIReference/API_ListClusters.html, and API_ListNodegroups.html
const maxEKSPage = 100

func (s *Server) listEKSClusters(region string, in *eks.ListClustersInput) (smithy.Serializable, error) {
	if in.Include != nil {
		return nil, unmodelled("ListClusters: include")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, one := range s.nodeGroups {
		if one.region == region {
			names = append(names, one.Cluster)
		}
	}
	part, next, err := eksPage(names, "clusters", in.MaxResults, in.NextToken)
	return &eks.ListClustersOutput{Clusters: part, NextToken: next}, err
}

func (s *Server) listNodegroups(region string, in *eks.ListNodegroupsInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, one := range s.nodeGroups {
		if one.region == region && one.Cluster == aws.ToString(in.ClusterName) {
			names = append(names, one.Name)
		}
	}
	if len(names) == 0 {
		return nil, eksNotFound("No cluster found for name: %s.", aws.ToString(in.ClusterName))
	}
	part, next, err := eksPage(names, "node groups of "+*in.ClusterName, in.MaxResults, in.NextToken)
	return &eks.ListNodegroupsOutput{Nodegroups: part, NextToken: next}, err
}

// eksPage cuts a list of names, each of which is listed once.
func eksPage(names []string, use string, most *int32, token *string) (part []string, next *string, err error) {
	size := maxEKSPage
	if most != nil {
		size = int(*most)
	}
	if size < 1 || size > maxEKSPage {
		return nil, nil, eksInvalidParameter("maxResults must be between 1 and %d, not %d.", maxEKSPage, size)
	}
	slices.Sort(names)
	part, after, ok := page(slices.Compact(names), use, size, token)
	if !ok {
		return nil, nil, eksInvalidParameter("The token '%s' is invalid.", *token)
	}
	if after != "" {
		next = &after
	}
	return part, next, nil
}
