package fakeaws

import (
	"fmt"
	"slices"
	"strings"
)

// States of a KMS key: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
const (
	KeyEnabled         = "Enabled"
	KeyDisabled        = "Disabled"
	KeyPendingDeletion = "PendingDeletion"
)

// Managers of a KMS key: https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html
const (
	ManagerAWS      = "AWS"
	ManagerCustomer = "CUSTOMER"
)

// The key that every account has in every Region for its EBS snapshots.
const (
	defaultKeyAlias = "alias/aws/ebs"
	defaultKeyID    = "00000000-0000-0000-0000-000000000000"
)

// Key is a KMS key of our account.
type Key struct {
	// ID is a UUID. The account's keys have different ones, but for the default keys.
	ID string
	// ARN is made of the Region, our account and the ID if it is empty. One that names another account is that
	// account's key, which we may use.
	ARN string
	// Region defaults to the server's.
	Region string
	// State is a Key constant, by default KeyEnabled.
	State string
	// Manager is a Manager constant, by default ManagerCustomer.
	Manager string
	// Aliases begin with "alias/".
	Aliases []string
	// Grantees are principals with a grant for the key, one each.
	Grantees []string
}

// AddKey makes a key, or replaces the one of the same ARN, and returns its ARN.
func (s *Server) AddKey(key Key) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key.Region == "" {
		key.Region = s.options.Region
	}
	if key.ARN == "" {
		key.ARN = s.keyARN(key.Region, "key/"+key.ID)
	}
	if key.State == "" {
		key.State = KeyEnabled
	}
	if key.Manager == "" {
		key.Manager = ManagerCustomer
	}
	key.Aliases, key.Grantees = slices.Clone(key.Aliases), slices.Clone(key.Grantees)
	s.keys[key.ARN] = key
	return key.ARN
}

// key finds a key by its id, its ARN, or an alias's name or ARN. It is called with the lock held.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
func (s *Server) key(region, name string) (Key, bool) {
	for _, key := range s.keys {
		if key.Region == region && s.isNamed(key, name) {
			return key, true
		}
	}
	if key := s.defaultKey(region); s.isNamed(key, name) {
		return key, true
	}
	return Key{}, false
}

func (s *Server) isNamed(key Key, name string) bool {
	if name == key.ID || name == key.ARN {
		return true
	}
	alias := strings.TrimPrefix(name, s.keyARN(key.Region, ""))
	return slices.Contains(key.Aliases, alias)
}

func (s *Server) defaultKey(region string) Key {
	return Key{
		ID:      defaultKeyID,
		ARN:     s.keyARN(region, "key/"+defaultKeyID),
		Region:  region,
		State:   KeyEnabled,
		Manager: ManagerAWS,
		Aliases: []string{defaultKeyAlias},
	}
}

func (s *Server) keyARN(region, resource string) string {
	return fmt.Sprintf("arn:aws:kms:%s:%s:%s", region, s.options.AccountID, resource)
}
