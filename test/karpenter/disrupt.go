package karpenter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Replacement is a NodeClaim that another one takes the place of.
type Replacement struct {
	Pool, Old, New string
}

// Round is what one round of disruption did.
type Round struct {
	// Started are replacements whose new claims were made; they wait for Ready.
	Started []Replacement
	// Finished are replacements whose old claims were deleted.
	Finished []Replacement
}

// Disrupt makes one round of replacing claims that are Drifted: it deletes those whose replacements are up, and starts as
// many more as the budgets allow. A replacement whose claim went before it was up is given up.
func (p *Player) Disrupt(ctx context.Context) (Round, error) {
	var round Round
	waiting := p.underWay
	p.underWay = nil
	for _, one := range waiting {
		finished, err := p.finish(ctx, one)
		if err != nil {
			return round, fmt.Errorf("replacing NodeClaim %s: %w", one.Old, err)
		}
		if finished {
			round.Finished = append(round.Finished, one)
		}
	}
	pools, err := p.list(ctx, NodePool)
	if err != nil {
		return round, err
	}
	for _, pool := range pools {
		started, err := p.start(ctx, pool)
		round.Started = append(round.Started, started...)
		p.underWay = append(p.underWay, started...)
		if err != nil {
			return round, fmt.Errorf("replacing what drifted in NodePool %s: %w", pool.GetName(), err)
		}
	}
	return round, nil
}

// finish deletes the old claim when the new one is up, and keeps waiting while it may still come up.
func (p *Player) finish(ctx context.Context, one Replacement) (finished bool, err error) {
	old, err := p.get(ctx, NodeClaim, one.Old)
	if err != nil {
		return false, client.IgnoreNotFound(err)
	}
	replacement, err := p.get(ctx, NodeClaim, one.New)
	if apierrors.IsNotFound(err) || err == nil && replacement.GetDeletionTimestamp() != nil {
		return false, p.patchStatus(ctx, old, func() {
			conditions := p.conditionsOf(old)
			conditions.clear(conditionDisruption)
			conditions.store()
		})
	}
	if err != nil {
		return false, err
	}
	if !p.conditionsOf(replacement).isTrue(conditionInitialized) {
		p.underWay = append(p.underWay, one)
		return false, nil
	}
	return true, client.IgnoreNotFound(p.Client.Delete(ctx, old))
}

// start launches replacements for a pool's drifted claims, those that drifted first before the others.
func (p *Player) start(ctx context.Context, pool *unstructured.Unstructured) (started []Replacement, err error) {
	candidates, allowed, err := p.candidates(ctx, pool)
	if err != nil {
		return nil, err
	}
	for _, old := range candidates[:min(len(candidates), allowed)] {
		replacement, err := p.Launch(ctx, pool.GetName())
		if errors.Is(err, ErrRefused) {
			return started, nil // pods would have no place to go
		}
		if err != nil {
			return started, err
		}
		started = append(started, Replacement{Pool: pool.GetName(), Old: old.GetName(), New: replacement})
		if err := p.patchStatus(ctx, old, func() {
			conditions := p.conditionsOf(old)
			conditions.set(conditionDisruption, metav1.ConditionTrue, reasonDrifted, reasonDrifted)
			conditions.store()
		}); err != nil {
			return started, err
		}
	}
	return started, nil
}

// candidates returns a pool's drifted claims that nothing happens to yet, and how many of them may go now.
func (p *Player) candidates(ctx context.Context, pool *unstructured.Unstructured) (drifted []*unstructured.Unstructured, allowed int, err error) {
	claims, err := p.list(ctx, NodeClaim)
	if err != nil {
		return nil, 0, err
	}
	nodes, going := 0, 0
	for _, claim := range claims {
		conditions := p.conditionsOf(claim)
		if claim.GetLabels()[labelPool] != pool.GetName() || !conditions.isTrue(conditionInitialized) {
			continue
		}
		nodes++
		switch {
		case claim.GetDeletionTimestamp() != nil || p.isReplacing(claim.GetName()):
			going++
		case conditions.isTrue(conditionDrifted):
			drifted = append(drifted, claim)
		}
	}
	slices.SortStableFunc(drifted, func(a, b *unstructured.Unstructured) int {
		return p.driftedSince(a).Compare(p.driftedSince(b).Time)
	})
	allowed, err = p.allowedDrift(pool, nodes)
	return drifted, max(0, allowed-going), err
}

func (p *Player) isReplacing(claim string) bool {
	return slices.ContainsFunc(p.underWay, func(one Replacement) bool { return one.Old == claim })
}

func (p *Player) driftedSince(claim *unstructured.Unstructured) metav1.Time {
	return p.conditionsOf(claim).get(conditionDrifted).LastTransitionTime
}
