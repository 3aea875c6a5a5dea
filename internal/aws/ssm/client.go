// Package ssm keeps parameters in SSM's Parameter Store, by which Terraform, CI and other clusters learn the id of
// the current snapshot.
package ssm

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Client reads and writes parameters of one account in one Region. It is safe for concurrent use.
type Client struct {
	ssm *ssm.Client
}

// New returns a client for the configuration's Region.
func New(cfg aws.Config) *Client {
	return &Client{ssm: ssm.NewFromConfig(larderaws.ForControl(cfg))}
}

// Parameter is a parameter's current value and its tags.
type Parameter struct {
	Value string
	Tags  map[string]string
}

// Get returns a parameter. For one that does not exist the error is one for which IsNotFound of internal/aws holds.
func (c *Client) Get(ctx context.Context, name string) (Parameter, error) {
	value, err := c.Value(ctx, name)
	if err != nil {
		return Parameter{}, err
	}
	tags, err := c.ssm.ListTagsForResource(ctx, &ssm.ListTagsForResourceInput{
		ResourceType: types.ResourceTypeForTaggingParameter,
		ResourceId:   aws.String(name),
	})
	if err != nil {
		return Parameter{}, fmt.Errorf("reading the tags of SSM parameter %s: %w", name, err)
	}
	result := Parameter{Value: value, Tags: map[string]string{}}
	for _, tag := range tags.TagList {
		result.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return result, nil
}

// Value returns a parameter's value alone, which takes no permission for its tags. That of a SecureString stays
// encrypted. For a parameter that does not exist the error is one for which IsNotFound of internal/aws holds.
func (c *Client) Value(ctx context.Context, name string) (string, error) {
	found, err := c.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name)})
	if err != nil {
		return "", fmt.Errorf("reading SSM parameter %s: %w", name, err)
	}
	return aws.ToString(found.Parameter.Value), nil
}

// Create makes a parameter. If the name is taken, nothing is changed and the error is one for which IsAlreadyExists
// of internal/aws holds; but one that has this value and these tags is what a lost answer leaves behind, and no error.
func (c *Client) Create(ctx context.Context, name, value, description string, tags map[string]string) error {
	input := &ssm.PutParameterInput{
		Name:        aws.String(name),
		Value:       aws.String(value),
		Description: aws.String(description),
		Type:        types.ParameterTypeString,
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		input.Tags = append(input.Tags, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	_, err := c.ssm.PutParameter(ctx, input)
	if larderaws.IsAlreadyExists(err) {
		if found, getErr := c.Get(ctx, name); getErr == nil && found.Value == value && maps.Equal(found.Tags, tags) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("creating SSM parameter %s: %w", name, err)
	}
	return nil
}

// Update changes the value of a parameter and leaves its tags. For one that does not exist the error is one for which
// IsNotFound of internal/aws holds.
func (c *Client) Update(ctx context.Context, name, value string) error {
	// AWS would make a parameter that is not there, without our tags, if the call named a type.
	_, err := c.ssm.PutParameter(ctx, &ssm.PutParameterInput{
		Name:      aws.String(name),
		Value:     aws.String(value),
		Overwrite: aws.Bool(true),
	})
	if err == nil {
		return nil
	}
	if _, getErr := c.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name)}); larderaws.IsNotFound(getErr) {
		// Without a type AWS calls the request invalid, and does not say that the parameter is missing.
		err = getErr
	}
	return fmt.Errorf("updating SSM parameter %s: %w", name, err)
}

// Delete deletes a parameter; one that does not exist is no error.
func (c *Client) Delete(ctx context.Context, name string) error {
	_, err := c.ssm.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String(name)})
	if err != nil && !larderaws.IsNotFound(err) {
		return fmt.Errorf("deleting SSM parameter %s: %w", name, err)
	}
	return nil
}
