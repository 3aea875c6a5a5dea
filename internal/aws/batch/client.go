// Package batch reads compute environments of AWS Batch, and changes the launch templates that they launch instances from.
package batch

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Client reads and updates the compute environments of one account in one Region. It is safe for concurrent use.
type Client struct {
	batch *batch.Client
}

// New returns a client for the configuration's Region.
func New(cfg aws.Config) *Client {
	return &Client{batch: batch.NewFromConfig(larderaws.ForControl(cfg))}
}

// Describe returns the compute environment of that name; nil when there is none.
func (c *Client) Describe(ctx context.Context, name string) (*ComputeEnvironment, error) {
	found, err := c.batch.DescribeComputeEnvironments(ctx, &batch.DescribeComputeEnvironmentsInput{ComputeEnvironments: []string{name}})
	if err != nil {
		return nil, fmt.Errorf("describing compute environment %s: %w", name, err)
	}
	for _, detail := range found.ComputeEnvironments {
		if aws.ToString(detail.ComputeEnvironmentName) == name {
			return environmentOf(detail), nil
		}
	}
	return nil, nil
}

// Update has a compute environment launch instances from other templates, or other versions of them; with changed ones
// Batch replaces all its instances. What is not in templates is removed, overrides included; everything else stays as it
// is. The call has no client token: describe the environment first. An answer of Batch's own is one for which IsRefused
// holds, also while another update runs.
// https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateComputeEnvironment.html
func (c *Client) Update(ctx context.Context, name string, templates []Template) error {
	_, err := c.batch.UpdateComputeEnvironment(ctx, &batch.UpdateComputeEnvironmentInput{
		ComputeEnvironment: aws.String(name),
		ComputeResources:   &types.ComputeResourceUpdate{LaunchTemplate: specificationOf(templates)},
	})
	if err != nil {
		return fmt.Errorf("updating the launch template of compute environment %s: %w", name, err)
	}
	return nil
}

// IsRefused tells whether Batch refused a call for what it asks, as opposed to for want of permission. Batch has one code
// for all such answers, and only the text tells them apart.
// https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateComputeEnvironment.html#API_UpdateComputeEnvironment_Errors
func IsRefused(err error) bool {
	var refusal *types.ClientException
	return errors.As(err, &refusal) && !larderaws.IsAccessDenied(err)
}
