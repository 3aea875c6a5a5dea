package karpenter

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// registrationsKept are the last ones of a NodePool; it is unhealthy when failuresUnhealthy of them failed.
	registrationsKept = 4
	failuresUnhealthy = 2

	reasonAwaiting  = "AwaitingReconciliation"
	messageAwaiting = "object is awaiting reconciliation"
)

func (p *Player) settlePool(ctx context.Context, pool *unstructured.Unstructured) error {
	if pool.GetDeletionTimestamp() != nil {
		return nil
	}
	if err := p.patch(ctx, pool, func() {
		annotate(pool, map[string]string{annotationPoolHash: hashOfPool(pool), annotationPoolHashVersion: poolHashVersion})
	}); err != nil {
		return fmt.Errorf("writing the hash: %w", err)
	}
	class, err := p.classOfPool(ctx, pool)
	if err != nil {
		return err
	}
	return p.patchStatus(ctx, pool, func() {
		conditions := p.conditionsOf(pool)
		conditions.pass(conditionValidation)
		p.markClassReady(conditions, class)
		p.resetRegistrations(pool, class, conditions)
		conditions.store()
	})
}

// classOfPool returns nil when the class does not exist.
func (p *Player) classOfPool(ctx context.Context, pool *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	class, err := p.get(ctx, EC2NodeClass, classOf(pool.Object, "spec", "template", "spec"))
	if errors.IsNotFound(err) {
		return nil, nil
	}
	return class, err
}

func (p *Player) markClassReady(of *conditions, class *unstructured.Unstructured) {
	if class == nil {
		of.set(conditionClassReady, metav1.ConditionFalse, "NodeClassNotFound", "NodeClass not found on cluster")
		return
	}
	if class.GetDeletionTimestamp() != nil {
		of.set(conditionClassReady, metav1.ConditionFalse, "NodeClassTerminating", "NodeClass is Terminating")
		return
	}
	switch ready := p.conditionsOf(class).get(conditionReady); {
	case ready == nil || ready.Status == metav1.ConditionUnknown:
		of.set(conditionClassReady, metav1.ConditionFalse, "NodeClassReadinessUnknown", "Node Class Readiness Unknown")
	case ready.Status == metav1.ConditionFalse:
		of.set(conditionClassReady, metav1.ConditionFalse, ready.Reason, ready.Message)
	default:
		of.pass(conditionClassReady)
	}
}

// resetRegistrations forgets how nodes came up before the pool or its class changed.
func (p *Player) resetRegistrations(pool, class *unstructured.Unstructured, of *conditions) {
	if class == nil {
		return
	}
	healthy := of.get(conditionRegistrationHealthy)
	seen, _ := field(pool.Object, "status", "nodeClassObservedGeneration").(int64)
	if healthy == nil || seen != class.GetGeneration() || healthy.ObservedGeneration != pool.GetGeneration() {
		of.set(conditionRegistrationHealthy, metav1.ConditionUnknown, reasonAwaiting, messageAwaiting)
		delete(p.registrations, pool.GetUID())
	}
	set(pool.Object, class.GetGeneration(), "status", "nodeClassObservedGeneration")
}

// register notes whether a node of a claim came up. The claim's Launched tells why it did not.
func (p *Player) register(ctx context.Context, claim *unstructured.Unstructured, cameUp bool) error {
	pool, err := p.get(ctx, NodePool, claim.GetLabels()[labelPool])
	if errors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.registrations == nil {
		p.registrations = map[types.UID][]bool{}
	}
	last := slices.Concat(p.registrations[pool.GetUID()], []bool{cameUp})
	last = last[max(0, len(last)-registrationsKept):]
	p.registrations[pool.GetUID()] = last
	failures := 0
	for _, one := range last {
		if !one {
			failures++
		}
	}
	return p.patchStatus(ctx, pool, func() {
		conditions := p.conditionsOf(pool)
		launched := p.conditionsOf(claim).get(conditionLaunched)
		switch {
		case cameUp && failures < failuresUnhealthy:
			conditions.pass(conditionRegistrationHealthy)
		case !cameUp && failures >= failuresUnhealthy && launched.Status == metav1.ConditionTrue:
			conditions.set(conditionRegistrationHealthy, metav1.ConditionFalse, "RegistrationFailed", "Failed to register node")
		case !cameUp && failures >= failuresUnhealthy:
			conditions.set(conditionRegistrationHealthy, metav1.ConditionFalse, launched.Reason, launched.Message)
		}
		conditions.store()
	})
}
