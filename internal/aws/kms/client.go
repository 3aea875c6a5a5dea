// Package kms asks KMS whether a key is there and can be used, before a snapshot is made, copied or bound with it: AWS
// takes a key that it cannot use without a word, and the snapshot ends in error later, or the nodes do.
package kms

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Client describes keys in one Region. It is safe for concurrent use.
type Client struct {
	kms *kms.Client
}

// New returns a client for the configuration's Region.
func New(cfg aws.Config) *Client {
	return &Client{kms: kms.NewFromConfig(larderaws.ForControl(cfg))}
}

// Key is what KMS says of a key.
type Key struct {
	// ARN names the key itself, also when it was asked for by an alias.
	ARN string
	// Enabled tells whether it can encrypt and decrypt now.
	Enabled bool
	// State is why it cannot, as KMS names it: "Disabled", "PendingDeletion".
	// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
	State string
	// AWSManaged tells whether it is one of AWS's own keys in the account, which no other account can use.
	AWSManaged bool
}

// Describe returns a key by its id, its ARN, or an alias's name or ARN. For one that does not exist in the Region
// the error is one for which IsNotFound of internal/aws holds.
func (c *Client) Describe(ctx context.Context, keyID string) (Key, error) {
	answer, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(keyID)})
	if err != nil {
		return Key{}, fmt.Errorf("describing KMS key %s: %w", keyID, err)
	}
	return Key{
		ARN:        aws.ToString(answer.KeyMetadata.Arn),
		Enabled:    answer.KeyMetadata.Enabled,
		State:      string(answer.KeyMetadata.KeyState),
		AWSManaged: answer.KeyMetadata.KeyManager == types.KeyManagerTypeAws,
	}, nil
}

const (
	// grantsPerPage is the most that ListGrants takes.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html
	grantsPerPage = 100
	// maxGrantPages bounds the calls for one key: EBS adds a grant for each attached volume, up to a quota of 50,000.
	// https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
	maxGrantPages = 50
)

// Grantees returns the principals that a key has grants for, in order and each once. They are nil for a key with more
// than 5,000 grants, of which a part would tell nothing.
func (c *Client) Grantees(ctx context.Context, keyARN string) ([]string, error) {
	grantees := []string{}
	pages := kms.NewListGrantsPaginator(c.kms, &kms.ListGrantsInput{KeyId: aws.String(keyARN), Limit: aws.Int32(grantsPerPage)})
	for read := 0; pages.HasMorePages(); read++ {
		if read == maxGrantPages {
			return nil, nil
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the grants of KMS key %s: %w", keyARN, err)
		}
		for _, grant := range page.Grants {
			if grant.GranteePrincipal != nil {
				grantees = append(grantees, *grant.GranteePrincipal)
			}
		}
	}
	slices.Sort(grantees)
	return slices.Compact(grantees), nil
}
