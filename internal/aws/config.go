package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// ErrMissingRegion says that neither the environment nor the shared configuration names an AWS Region.
var ErrMissingRegion = errors.New("no AWS Region is configured: set AWS_REGION, or region in the shared AWS configuration file")

// CredentialsError says that no AWS credentials could be had, and why. It wraps the provider's error, which
// names the places that were tried and never a secret.
type CredentialsError struct {
	Err error
}

// Error says what to do, then what the providers answered.
func (e *CredentialsError) Error() string {
	return noCredentials + e.Err.Error()
}

const noCredentials = "no usable AWS credentials: give the service account an IAM role (EKS Pod Identity or IRSA), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: "

// Unwrap returns the provider's error.
func (e *CredentialsError) Unwrap() error { return e.Err }

// Config is the SDK's, for those who pass it on and may not import the SDK.
type Config = aws.Config

// Load reads the AWS configuration from the environment and the shared files, as every AWS tool does.
//
// It sets no HTTP client: a plain one could not honour AWS_CA_BUNDLE, which the SDK applies to its own.
func Load(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, ErrMissingRegion
	}
	cfg.Credentials = credentials{cfg.Credentials}
	return cfg, nil
}

// credentials gives a failed look-up its own type. The SDK has none for it, and callers must tell it from a
// failure that passes by itself.
type credentials struct {
	aws.CredentialsProvider
}

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		return aws.Credentials{}, &CredentialsError{Err: err}
	}
	return found, err
}

// InRegion returns the same configuration for another Region. Credentials and HTTP client are shared.
func InRegion(cfg aws.Config, region string) aws.Config {
	there := cfg.Copy()
	there.Region = region
	return there
}

// Identity is who AWS takes us for, and where.
type Identity struct {
	// AccountID is the twelve-digit AWS account id.
	AccountID string
	// ARN names the user or the assumed role.
	ARN string
	// Region is the Region that calls go to.
	Region string
}

// Identify asks STS who we are. It needs no permission, so an error means wrong or missing credentials, or
// an endpoint that cannot be reached.
func Identify(ctx context.Context, cfg aws.Config) (Identity, error) {
	caller, err := sts.NewFromConfig(ForControl(cfg)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, fmt.Errorf("asking AWS STS in %s who we are: %w", cfg.Region, err)
	}
	return Identity{
		AccountID: aws.ToString(caller.Account),
		ARN:       aws.ToString(caller.Arn),
		Region:    cfg.Region,
	}, nil
}
