package eks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// What an Update's Status can be.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_Update.html
const (
	UpdateInProgress = string(types.UpdateStatusInProgress)
	UpdateSuccessful = string(types.UpdateStatusSuccessful)
	UpdateFailed     = string(types.UpdateStatusFailed)
	UpdateCancelled  = string(types.UpdateStatusCancelled)
)

// Update is one change of a node group that somebody asked EKS for.
type Update struct {
	// ID is EKS's own.
	ID string
	// Type is "VersionUpdate" for another launch template version or AMI, "ConfigUpdate" for other settings.
	Type string
	// Status is one of the constants.
	Status string
	// CreateTime is when it was asked for.
	CreateTime time.Time
	// TemplateVersion is the number of the launch template's version that it goes to; 0 when it says none.
	TemplateVersion int64
	// KubernetesVersion and ReleaseVersion are those of the AMI that it goes to; empty when it says none.
	KubernetesVersion, ReleaseVersion string
	// Errors are what made it fail.
	Errors []Issue
}

// IsVersionUpdate tells whether the update replaces the group's nodes.
func (u Update) IsVersionUpdate() bool { return u.Type == string(types.UpdateTypeVersionUpdate) }

// updatesPerPage is the most that EKS gives at once.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_ListUpdates.html
const updatesPerPage = 100

// Updates returns the updates of a group that EKS still knows, the oldest first.
func (c *Client) Updates(ctx context.Context, cluster, group string) ([]Update, error) {
	of := groupName{cluster, group}
	var found []Update
	ended := map[string]Update{}
	for pages := eks.NewListUpdatesPaginator(c.eks, &eks.ListUpdatesInput{
		Name: &cluster, NodegroupName: &group, MaxResults: aws.Int32(updatesPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the updates of node group %s of EKS cluster %s: %w", group, cluster, err)
		}
		for _, id := range page.UpdateIds { // EKS does not say in which order
			update, err := c.update(ctx, of, id)
			if larderaws.IsNotFound(err) {
				continue // forgotten since it was listed
			}
			if err != nil {
				return nil, fmt.Errorf("describing update %s of node group %s of EKS cluster %s: %w", id, group, cluster, err)
			}
			found = append(found, update)
			if update.Status != UpdateInProgress {
				ended[id] = update
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[of] = ended
	slices.SortFunc(found, func(a, b Update) int {
		return cmp.Or(a.CreateTime.Compare(b.CreateTime), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

func (c *Client) update(ctx context.Context, of groupName, id string) (Update, error) {
	c.mu.Lock()
	known, ok := c.ended[of][id]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	answer, err := c.eks.DescribeUpdate(ctx, &eks.DescribeUpdateInput{Name: &of.cluster, NodegroupName: &of.group, UpdateId: &id})
	if err != nil {
		return Update{}, err
	}
	return updateOf(answer.Update), nil
}

func updateOf(given *types.Update) Update {
	update := Update{
		ID: aws.ToString(given.Id), Type: string(given.Type), Status: string(given.Status), CreateTime: aws.ToTime(given.CreatedAt),
	}
	for _, param := range given.Params {
		value := aws.ToString(param.Value)
		switch param.Type {
		case types.UpdateParamTypeLaunchTemplateVersion:
			// Not a number is not a version that anything here can be compared with: 0 says so.
			update.TemplateVersion, _ = strconv.ParseInt(value, 10, 64)
		case types.UpdateParamTypeVersion:
			update.KubernetesVersion = value
		case types.UpdateParamTypeReleaseVersion:
			update.ReleaseVersion = value
		}
	}
	for _, failure := range given.Errors {
		update.Errors = append(update.Errors, Issue{
			Code: string(failure.ErrorCode), Message: larderaws.Readable(aws.ToString(failure.ErrorMessage)), ResourceIDs: failure.ResourceIds,
		})
	}
	return update
}

// VersionUpdate is a request to replace the nodes of a group by nodes of another version of its launch template.
type VersionUpdate struct {
	// Cluster and Group name the node group.
	Cluster, Group string
	// TemplateID is the launch template's that the group was made with, and TemplateVersion the number to go to.
	TemplateID      string
	TemplateVersion int64
	// KubernetesVersion and ReleaseVersion are those of the AMI: without them EKS goes to the cluster's version and to
	// the newest AMI as well. They are empty for a group with a custom AMI, for which EKS refuses them.
	KubernetesVersion, ReleaseVersion string
	// Force replaces nodes whose pods cannot be evicted, too.
	Force bool
	// Token makes the request safe to repeat: EKS answers as it did the first time.
	Token string
}

// UpdateVersion asks EKS for an update and returns it as EKS has begun it. IsBusy and IsLaunchDenied tell of two errors.
func (c *Client) UpdateVersion(ctx context.Context, asked VersionUpdate) (Update, error) {
	answer, err := c.eks.UpdateNodegroupVersion(ctx, &eks.UpdateNodegroupVersionInput{
		ClusterName: &asked.Cluster, NodegroupName: &asked.Group,
		LaunchTemplate: &types.LaunchTemplateSpecification{
			Id: &asked.TemplateID, Version: aws.String(strconv.FormatInt(asked.TemplateVersion, 10)),
		},
		Version: filled(asked.KubernetesVersion), ReleaseVersion: filled(asked.ReleaseVersion),
		Force: asked.Force, ClientRequestToken: &asked.Token,
	})
	if err != nil {
		return Update{}, fmt.Errorf("updating node group %s of EKS cluster %s to version %d of launch template %s: %w",
			asked.Group, asked.Cluster, asked.TemplateVersion, asked.TemplateID, err)
	}
	return updateOf(answer.Update), nil
}

// filled returns nil for a text that is not said.
func filled(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
