package fakeaws

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	publictypes "github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
	"github.com/aws/smithy-go"
)

const (
	// RegistryUser is the user name of every token that ECR gives.
	RegistryUser = "AWS"
	// registryTokenLife: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
	registryTokenLife = 12 * time.Hour
	// publicRegistryRegion: https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html
	publicRegistryRegion = "us-east-1"
	publicTokenAction    = "ecr-public:GetAuthorizationToken"
)

// RegistryToken is a token that was given out.
type RegistryToken struct {
	// Region is where it is good for; of a token of ECR public, which is for no Region, it is empty.
	Region   string
	Password string
	Expires  time.Time
}

// RegistryTokens returns the tokens that were given out, the oldest first, expired ones too.
func (s *Server) RegistryTokens() []RegistryToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]RegistryToken(nil), s.registryTokens...)
}

// giveRegistryToken returns the new token as clients read it, and its end.
func (s *Server) giveRegistryToken(region string) (encoded string, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	given := RegistryToken{Region: region, Password: s.options.RegistryPassword, Expires: s.options.Clock.Now().Add(registryTokenLife)}
	if given.Password == "" {
		given.Password = fmt.Sprintf("registry-token-%d-of-fakeaws", len(s.registryTokens)+1)
	}
	s.registryTokens = append(s.registryTokens, given)
	return base64.StdEncoding.EncodeToString([]byte(RegistryUser + ":" + given.Password)), given.Expires
}

func (s *Server) getAuthorizationToken(region string, _ *ecr.GetAuthorizationTokenInput) (smithy.Serializable, error) {
	encoded, expires := s.giveRegistryToken(region)
	return &ecr.GetAuthorizationTokenOutput{AuthorizationData: []ecrtypes.AuthorizationData{{
		AuthorizationToken: aws.String(encoded),
		ExpiresAt:          aws.Time(expires),
		ProxyEndpoint:      aws.String(fmt.Sprintf("https://%s.dkr.ecr.%s.amazonaws.com", s.options.AccountID, region)),
	}}}, nil
}

func (s *Server) getPublicAuthorizationToken(region string, _ *ecrpublic.GetAuthorizationTokenInput) (smithy.Serializable, error) {
	if region != publicRegistryRegion {
		return nil, refused("UnsupportedCommandException", "ECR public gives tokens in %s only, not in %s.", publicRegistryRegion, region)
	}
	encoded, expires := s.giveRegistryToken("")
	return &ecrpublic.GetAuthorizationTokenOutput{AuthorizationData: &publictypes.AuthorizationData{
		AuthorizationToken: aws.String(encoded),
		ExpiresAt:          aws.Time(expires),
	}}, nil
}
