package launch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// What a version of a launch template may be called instead of its number.
const (
	latest   = "$Latest"
	standard = "$Default"
)

// versionsPerPage is the most that EC2 gives at once.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html
const versionsPerPage = 200

// latestAndDefault returns these two versions of every launch template.
func (c *Client) latestAndDefault(ctx context.Context) (inUse, error) {
	found := inUse{}
	// EC2 lists the latest and the default versions of all templates together, and the answer tells only which are
	// default ones. A version that is not one was therefore listed as the latest.
	for pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(c.ec2, &ec2.DescribeLaunchTemplateVersionsInput{
		Versions:   []string{latest, standard},
		MaxResults: aws.Int32(versionsPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the latest and default versions of all launch templates: %w", err)
		}
		for _, version := range page.LaunchTemplateVersions {
			why := "latest"
			if aws.ToBool(version.DefaultVersion) {
				why = "default"
			}
			found.add(version, why)
		}
	}
	return found, nil
}

// versions returns those of a template's versions that exist, of the numbers asked for.
func (c *Client) versions(ctx context.Context, of template, numbers []string) ([]types.LaunchTemplateVersion, error) {
	input := &ec2.DescribeLaunchTemplateVersionsInput{Versions: numbers, MaxResults: aws.Int32(versionsPerPage)}
	if of.id != "" {
		input.LaunchTemplateId = aws.String(of.id)
	} else {
		input.LaunchTemplateName = aws.String(of.name)
	}
	var found []types.LaunchTemplateVersion
	for pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(c.ec2, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		switch {
		case larderaws.IsNotFound(err) && len(numbers) == 1:
			return nil, nil
		case larderaws.IsNotFound(err):
			// One missing version fails the call for all of them.
			return c.versionsByHalves(ctx, of, numbers)
		case err != nil:
			return nil, fmt.Errorf("reading versions %s of %s: %w", strings.Join(numbers, ", "), of, err)
		}
		found = append(found, page.LaunchTemplateVersions...)
	}
	return found, nil
}

func (c *Client) versionsByHalves(ctx context.Context, of template, numbers []string) ([]types.LaunchTemplateVersion, error) {
	half := len(numbers) / 2
	first, err := c.versions(ctx, of, numbers[:half])
	if err != nil {
		return nil, err
	}
	second, err := c.versions(ctx, of, numbers[half:])
	return append(first, second...), err
}

// Template finds a launch template. One that this account does not have in this Region is an error of which
// larderaws.IsNotFound is true.
func (c *Client) Template(ctx context.Context, of Reference) (Template, error) {
	input := &ec2.DescribeLaunchTemplatesInput{}
	if of.ID != "" {
		input.LaunchTemplateIds = []string{of.ID}
	} else {
		input.LaunchTemplateNames = []string{of.Name}
	}
	out, err := c.ec2.DescribeLaunchTemplates(ctx, input)
	if err != nil {
		return Template{}, fmt.Errorf("reading %s: %w", of, err)
	}
	if len(out.LaunchTemplates) != 1 {
		return Template{}, fmt.Errorf("reading %s: EC2 answered with %d templates", of, len(out.LaunchTemplates))
	}
	return templateOf(out.LaunchTemplates[0]), nil
}

// Versions returns all versions of a launch template, in the order of their numbers.
func (c *Client) Versions(ctx context.Context, templateID string) ([]Version, error) {
	var all []Version
	for pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(c.ec2, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: aws.String(templateID),
		MaxResults:       aws.Int32(versionsPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the versions of launch template %s: %w", templateID, err)
		}
		for _, version := range page.LaunchTemplateVersions {
			all = append(all, versionOf(version))
		}
	}
	slices.SortFunc(all, func(a, b Version) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}
