package fakeaws

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

func (s *Server) describeKey(region string, in *kms.DescribeKeyInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := aws.ToString(in.KeyId)
	found, ok := s.key(region, name)
	switch {
	case ok:
	case strings.HasPrefix(name, "alias/"):
		return nil, refused("NotFoundException", "Alias %s is not found.", s.keyARN(region, name))
	default:
		return nil, refused("NotFoundException", "Key '%s' does not exist", name)
	}
	// An ARN names Region and account in its fourth and fifth part.
	account := strings.Split(found.ARN, ":")[4]
	return &kms.DescribeKeyOutput{KeyMetadata: &types.KeyMetadata{
		AWSAccountId: aws.String(account),
		Arn:          aws.String(found.ARN),
		Enabled:      found.State == KeyEnabled,
		KeyId:        aws.String(found.ID),
		KeyManager:   types.KeyManagerType(found.Manager),
		KeySpec:      types.KeySpecSymmetricDefault,
		KeyState:     types.KeyState(found.State),
		KeyUsage:     types.KeyUsageTypeEncryptDecrypt,
		MultiRegion:  aws.Bool(false),
		Origin:       types.OriginTypeAwsKms,
	}}, nil
}
