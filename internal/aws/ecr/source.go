package ecr

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/google/go-containerregistry/pkg/authn"
)

// publicRegion is the one Region that gives tokens of ECR public.
// https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html
const publicRegion = "us-east-1"

// source is what gives tokens: ECR public, or private ECR in a Region, whose tokens are good for the registries of
// all accounts there that the identity may read.
type source struct {
	public bool
	region string
}

// String names the source in errors.
func (of source) String() string {
	if of.public {
		return "ECR public"
	}
	return "ECR in " + of.region
}

// ask gets a token at the given time.
func (of source) ask(ctx context.Context, cfg aws.Config, now time.Time) (token, error) {
	encoded, expires, err := of.call(ctx, cfg)
	if err != nil {
		return token{}, fmt.Errorf("getting an authorization token of %s: %w", of, err)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	user, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || user == "" || password == "" {
		// What it is instead stays unsaid, since it is a secret.
		return token{}, fmt.Errorf("reading the authorization token of %s: it is not a user and a password in base64", of)
	}
	return token{
		Authenticator: &authn.Basic{Username: user, Password: password},
		// A token of a shorter life than documented must not be asked for at every use.
		renewAt: expires.Add(-min(goodFor, expires.Sub(now)/2)),
		expires: expires,
	}, nil
}

func (of source) call(ctx context.Context, cfg aws.Config) (encoded string, expires time.Time, err error) {
	if of.public {
		cfg.Region = publicRegion
		answer, err := ecrpublic.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
		if err != nil {
			return "", time.Time{}, err
		}
		if answer.AuthorizationData == nil {
			return "", time.Time{}, errNoToken
		}
		return aws.ToString(answer.AuthorizationData.AuthorizationToken), aws.ToTime(answer.AuthorizationData.ExpiresAt), nil
	}
	cfg.Region = of.region
	answer, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return "", time.Time{}, err
	}
	if len(answer.AuthorizationData) == 0 {
		return "", time.Time{}, errNoToken
	}
	return aws.ToString(answer.AuthorizationData[0].AuthorizationToken), aws.ToTime(answer.AuthorizationData[0].ExpiresAt), nil
}

var errNoToken = errors.New("the answer has no token")
