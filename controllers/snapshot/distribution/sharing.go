package distribution

import (
	"context"
	"fmt"
	"slices"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
)

// planSharing returns which accounts to add to those that a snapshot is shared with, and which to remove.
func planSharing(wanted, shared []string) (add, remove []string) {
	return without(wanted, shared), without(shared, wanted)
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(some, one) })
}

// share has exactly the accounts of the spec share the current snapshot.
func (p *pass) share(ctx context.Context) {
	wanted := p.accounts()
	if len(wanted) == 0 && !wasShared(p.current.Tags) {
		return
	}
	problems := p.shareCurrent(ctx, wanted)
	p.outcome.fail(problems...)
	switch kind := larderv1alpha1.ConditionShared; {
	case len(wanted) == 0:
	case len(problems) > 0:
		p.conditions.failed(kind, problems, "")
	default:
		p.conditions.done(kind, larderv1alpha1.ReasonShared,
			fmt.Sprintf("snapshot %s may be used by the accounts of spec.sharedWith and by no others: %d", p.current.ID, len(wanted)))
	}
}

// shareCurrent takes away before it gives: an account that AWS does not know must not keep another one in.
func (p *pass) shareCurrent(ctx context.Context, wanted []string) []Problem {
	shared, err := p.Home.SharedWith(ctx, p.current.ID)
	if err != nil {
		return []Problem{*awsProblem(err)}
	}
	var problems []Problem
	add, remove := planSharing(wanted, shared)
	if len(remove) > 0 {
		if err := p.Home.Share(ctx, p.current.ID, nil, remove); err != nil {
			problems = append(problems, *awsProblem(err))
		}
	}
	switch {
	case len(add) == 0:
		return problems
	case p.unexposed != nil:
		return append(problems, *p.unexposed)
	}
	if refused := p.refuseDefaultKey(ctx); refused != nil {
		return append(problems, *refused)
	}
	return append(problems, p.addAccounts(ctx, add)...)
}

// refuseDefaultKey tells early what AWS would refuse later, in the other account, when a volume is made there.
func (p *pass) refuseDefaultKey(ctx context.Context) *Problem {
	if !p.current.Encrypted {
		return nil
	}
	key, err := p.Keys(p.Region).Describe(ctx, p.current.KMSKeyID)
	switch {
	case err != nil:
		return awsProblem(fmt.Errorf("looking at the key of snapshot %s before it is shared: %w", p.current.ID, err))
	case key.AWSManaged:
		return needsPerson(larderv1alpha1.ReasonDefaultKeyNotShared,
			"snapshot %s cannot be shared: it is encrypted with the account's default key for EBS, %s, which AWS lets no other account use. "+
				"Set spec.encryption.kmsKeyID to a key of your own, and share that key with the accounts, or remove spec.sharedWith",
			p.current.ID, p.current.KMSKeyID)
	}
	return nil
}

// addAccounts adds all at once, and one by one if AWS refuses: its answer does not say which account it minds.
func (p *pass) addAccounts(ctx context.Context, accounts []string) []Problem {
	err := p.Home.Share(ctx, p.current.ID, accounts, nil)
	switch {
	case err == nil:
		return nil
	case larderaws.IsAccessDenied(err), larderaws.Classify(err) == larderaws.Wait:
		return []Problem{*awsProblem(err)}
	case len(accounts) == 1:
		return []Problem{*refusedAccount(accounts[0], err)}
	}
	var problems []Problem
	for _, account := range accounts {
		if err := p.Home.Share(ctx, p.current.ID, []string{account}, nil); err != nil {
			problems = append(problems, *refusedAccount(account, err))
		}
	}
	return problems
}

func refusedAccount(account string, err error) *Problem {
	return awsProblem(fmt.Errorf("account %s of spec.sharedWith: see that there is such an AWS account, or remove it: %w", account, err))
}

// unshareSuperseded takes accounts that are no longer in the spec from older revisions too. Those that still are
// may go on with what they use.
func (p *pass) unshareSuperseded(ctx context.Context) {
	for _, snapshot := range p.superseded {
		if !wasShared(snapshot.Tags) {
			continue
		}
		shared, err := p.Home.SharedWith(ctx, snapshot.ID)
		if larderaws.IsNotFound(err) {
			continue // collected since it was listed
		}
		if _, remove := planSharing(p.accounts(), shared); err == nil && len(remove) > 0 {
			err = p.Home.Share(ctx, snapshot.ID, nil, remove)
		}
		if err != nil {
			p.outcome.fail(*awsProblem(fmt.Errorf("taking superseded snapshot %s from the accounts that left spec.sharedWith: %w", snapshot.ID, err)))
		}
	}
}

func (p *pass) accounts() []string {
	var accounts []string
	for _, account := range p.object.Spec.SharedWith {
		accounts = append(accounts, string(account))
	}
	return accounts
}
