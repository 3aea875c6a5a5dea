package fakeaws

import (
	"strconv"
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
	found, err := s.knownKey(region, name)
	if err != nil {
		return nil, err
	}
	return &kms.DescribeKeyOutput{KeyMetadata: &types.KeyMetadata{
		AWSAccountId: aws.String(accountOf(found)),
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

func (s *Server) knownKey(region, name string) (Key, error) {
	found, ok := s.key(region, name)
	switch {
	case ok:
		return found, nil
	case strings.HasPrefix(name, "alias/"):
		return Key{}, refused("NotFoundException", "Alias %s is not found.", s.keyARN(region, name))
	default:
		return Key{}, refused("NotFoundException", "Key '%s' does not exist", name)
	}
}

// accountOf returns the owner of a key: an ARN names Region and account in its fourth and fifth part.
func accountOf(key Key) string { return strings.Split(key.ARN, ":")[4] }

// Limits of https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html
const (
	defaultGrantsPerPage = 50
	maxGrantsPerPage     = 100
)

func (s *Server) listGrants(region string, in *kms.ListGrantsInput) (smithy.Serializable, error) {
	name, size := aws.ToString(in.KeyId), defaultGrantsPerPage
	if in.Limit != nil {
		size = int(*in.Limit)
	}
	if size < 1 || size > maxGrantsPerPage {
		return nil, refused("ValidationException", "Value '%d' at 'limit' failed to satisfy constraint: Member must be between 1 and %d", size, maxGrantsPerPage)
	}
	if strings.Contains(name, "alias/") {
		return nil, unmodelled("ListGrants: %s is an alias", name)
	}
	start := 0
	if in.Marker != nil {
		given := parseToken(*in.Marker)
		if given.Use != "grants" {
			return nil, refused("InvalidMarkerException", "")
		}
		start = int(given.Index)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.knownKey(region, name)
	if err != nil {
		return nil, err
	}
	out := &kms.ListGrantsOutput{Grants: []types.GrantListEntry{}}
	for number := start; number < min(start+size, len(found.Grantees)); number++ {
		out.Grants = append(out.Grants, types.GrantListEntry{
			GranteePrincipal: aws.String(found.Grantees[number]),
			GrantId:          aws.String(strconv.Itoa(number)),
			IssuingAccount:   aws.String("arn:aws:iam::" + accountOf(found) + ":root"),
			KeyId:            aws.String(found.ARN),
			Operations:       []types.GrantOperation{types.GrantOperationCreateGrant, types.GrantOperationDecrypt},
		})
	}
	if start+size < len(found.Grantees) {
		out.Truncated, out.NextMarker = true, aws.String(token{Use: "grants", Index: int32(start + size)}.String())
	}
	return out, nil
}
