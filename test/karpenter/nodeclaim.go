package karpenter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	labelPool  = "karpenter.sh/nodepool"
	labelClass = "karpenter.k8s.aws/ec2nodeclass"

	// claimFinalizer keeps a claim until its node is drained and its instance gone; here, until the next Settle.
	claimFinalizer = "karpenter.sh/termination"

	// launchTimeout and registrationTimeout are how long a claim may take: LaunchTimeout and registrationTimeout of
	// karpenter, pkg/controllers/nodeclaim/lifecycle/liveness.go.
	launchTimeout       = 5 * time.Minute
	registrationTimeout = 15 * time.Minute
)

func (p *Player) settleClaim(ctx context.Context, claim *unstructured.Unstructured) error {
	if claim.GetDeletionTimestamp() != nil {
		return p.setFinalizer(ctx, claim, claimFinalizer, false)
	}
	if !p.conditionsOf(claim).isTrue(conditionLaunched) {
		if err := p.tryLaunch(ctx, claim); err != nil {
			return fmt.Errorf("launching: %w", err)
		}
	}
	gone, err := p.expire(ctx, claim)
	if err != nil || gone {
		return err
	}
	reason, err := p.driftOf(ctx, claim)
	if err != nil {
		return fmt.Errorf("looking for drift: %w", err)
	}
	return p.patchStatus(ctx, claim, func() {
		conditions := p.conditionsOf(claim)
		if reason == "" {
			conditions.clear(conditionDrifted)
		} else {
			conditions.set(conditionDrifted, metav1.ConditionTrue, reason, reason)
		}
		conditions.store()
	})
}

// expire deletes a claim that did not come up in time.
func (p *Player) expire(ctx context.Context, claim *unstructured.Unstructured) (gone bool, err error) {
	conditions := p.conditionsOf(claim)
	launched, registered := conditions.get(conditionLaunched), conditions.get(conditionRegistered)
	late := registered.Status != metav1.ConditionTrue && p.Clock.Since(registered.LastTransitionTime.Time) >= registrationTimeout
	if launched.Status != metav1.ConditionTrue {
		late = p.Clock.Since(launched.LastTransitionTime.Time) >= launchTimeout
	}
	if !late {
		return false, nil
	}
	if err := p.register(ctx, claim, false); err != nil {
		return false, fmt.Errorf("marking its NodePool: %w", err)
	}
	if err := client.IgnoreNotFound(p.Client.Delete(ctx, claim)); err != nil {
		return false, fmt.Errorf("deleting what did not come up: %w", err)
	}
	return true, nil
}

// driftOf returns why a claim is to be replaced; empty when it is not.
func (p *Player) driftOf(ctx context.Context, claim *unstructured.Unstructured) (string, error) {
	if !p.conditionsOf(claim).isTrue(conditionLaunched) {
		return "", nil
	}
	pool, err := p.get(ctx, NodePool, claim.GetLabels()[labelPool])
	if errors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if differs(pool, claim, annotationPoolHash, annotationPoolHashVersion) {
		return "NodePoolDrifted", nil
	}
	fits, err := fitsRequirements(pool, claim.GetLabels())
	if err != nil {
		return "", err
	}
	if !fits {
		return "RequirementsDrifted", nil
	}
	class, err := p.classOfPool(ctx, pool)
	if err != nil || class == nil {
		return "", err
	}
	if differs(class, claim, annotationClassHash, annotationClassHashVersion) {
		return "NodeClassDrift", nil
	}
	amis := amisFor(class, claim.GetLabels()[labelArch])
	if len(amis) > 0 && !slices.Contains(amis, text(claim.Object, "status", "imageID")) {
		return "AMIDrift", nil
	}
	return "", nil
}

// differs compares hashes of the same version. Where one is missing, nothing is known.
func differs(owner, claim *unstructured.Unstructured, hash, version string) bool {
	of, has := owner.GetAnnotations(), claim.GetAnnotations()
	for _, key := range []string{hash, version} {
		if of[key] == "" || has[key] == "" {
			return false
		}
	}
	return of[version] == has[version] && of[hash] != has[hash]
}
