package eks

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// namesPerPage is the most that EKS lists at once.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_ListNodegroups.html
const namesPerPage = 100

// Uses finds the snapshots that node groups may launch nodes with. Both fields are required, and of one Region.
type Uses struct {
	Groups    *Client
	Templates *launch.Client
}

// SnapshotUses returns all versions of launch templates that a node group of any cluster names and that are made of
// snapshots, but for the latest and the default ones, which launch.Client's SnapshotUses has. A cluster or a group that is
// deleted while this reads is not in the answer, and a Region without EKS has none; after any other error nobody may take
// a snapshot for unused.
func (u Uses) SnapshotUses(ctx context.Context) ([]launch.Use, error) {
	clusters, err := u.Groups.clusters(ctx)
	if larderaws.IsServiceAbsent(err, "eks", u.Groups.eks.Options().Region) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var named []launch.VersionNamed
	for _, cluster := range clusters {
		some, err := u.Groups.versionsNamed(ctx, cluster)
		if err != nil {
			return nil, err
		}
		named = append(named, some...)
	}
	return u.Templates.UsesOf(ctx, named)
}

func (c *Client) clusters(ctx context.Context) ([]string, error) {
	var names []string
	for pages := eks.NewListClustersPaginator(c.eks, &eks.ListClustersInput{MaxResults: aws.Int32(namesPerPage)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing EKS clusters for the launch templates of their node groups: %w", err)
		}
		names = append(names, page.Clusters...)
	}
	return names, nil
}

func (c *Client) versionsNamed(ctx context.Context, cluster string) ([]launch.VersionNamed, error) {
	groups, err := c.groups(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var named []launch.VersionNamed
	for _, name := range groups {
		group, err := c.Describe(ctx, cluster, name)
		if larderaws.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if template := group.Template; template != nil {
			named = append(named, launch.VersionNamed{
				TemplateID: template.ID, TemplateName: template.Name, Version: template.Version, By: "EKS node group " + cluster + "/" + name,
			})
		}
	}
	return named, nil
}

func (c *Client) groups(ctx context.Context, cluster string) ([]string, error) {
	var names []string
	for pages := eks.NewListNodegroupsPaginator(c.eks, &eks.ListNodegroupsInput{
		ClusterName: &cluster, MaxResults: aws.Int32(namesPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if larderaws.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing the node groups of EKS cluster %s for their launch templates: %w", cluster, err)
		}
		names = append(names, page.Nodegroups...)
	}
	return names, nil
}
