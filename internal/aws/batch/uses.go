package batch

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// environmentsPerPage is the most that Batch describes at once.
// https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeComputeEnvironments.html
const environmentsPerPage = 100

// Uses finds the snapshots that compute environments may launch instances with. Both fields are required, and of one
// Region.
type Uses struct {
	Environments *Client
	Templates    *launch.Client
}

// SnapshotUses returns all versions of launch templates that a compute environment names, itself or in an override, and
// that are made of snapshots. It leaves out the latest and the default ones, which launch.Client's SnapshotUses has. What
// an environment on $Latest looked up earlier is the latest version of the template that Batch makes for itself:
// https://docs.aws.amazon.com/batch/latest/userguide/service_IAM_role.html allows it to.
//
// A Region without Batch has no environments; after any other error nobody may take a snapshot for unused.
func (u Uses) SnapshotUses(ctx context.Context) ([]launch.Use, error) {
	named, err := u.Environments.versionsNamed(ctx)
	if larderaws.IsServiceAbsent(err, "batch", u.Environments.batch.Options().Region) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return u.Templates.UsesOf(ctx, named)
}

func (c *Client) versionsNamed(ctx context.Context) ([]launch.VersionNamed, error) {
	var named []launch.VersionNamed
	for pages := batch.NewDescribeComputeEnvironmentsPaginator(c.batch, &batch.DescribeComputeEnvironmentsInput{
		MaxResults: aws.Int32(environmentsPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing Batch compute environments for their launch templates: %w", err)
		}
		for _, detail := range page.ComputeEnvironments {
			environment := environmentOf(detail)
			for _, template := range environment.Templates {
				named = append(named, launch.VersionNamed{
					TemplateID: template.ID, TemplateName: template.Name, Version: template.Version,
					By: "Batch compute environment " + environment.Name,
				})
			}
		}
	}
	return named, nil
}
