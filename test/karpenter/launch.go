package karpenter

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrRefused is why Launch makes no NodeClaim: the pool or its class cannot launch nodes.
var ErrRefused = errors.New("no node is launched")

// Launch makes a NodeClaim for a pool that pods wait for, and launches it. The instance may fail to launch: the claim's
// Launched tells, and Settle tries again. An error that is ErrRefused tells that there is no claim.
func (p *Player) Launch(ctx context.Context, pool string) (claim string, err error) {
	from, err := p.get(ctx, NodePool, pool)
	if err != nil {
		return "", err
	}
	class, err := p.classOfPool(ctx, from)
	if err != nil {
		return "", err
	}
	if from.GetDeletionTimestamp() != nil || class == nil {
		return "", fmt.Errorf("NodePool %s is being deleted or has no EC2NodeClass: %w", pool, ErrRefused)
	}
	if problem := p.whyNotReady(class); problem != "" {
		return "", fmt.Errorf("EC2NodeClass %s of NodePool %s %s: %w", class.GetName(), pool, problem, ErrRefused)
	}
	made, err := p.createClaim(ctx, from)
	if err != nil {
		return "", err
	}
	return made.GetName(), p.tryLaunch(ctx, made)
}

// whyNotReady returns nothing for a class that nodes may be launched from.
func (p *Player) whyNotReady(class *unstructured.Unstructured) string {
	ready := p.conditionsOf(class).get(conditionReady)
	switch {
	case ready == nil:
		return "has not been looked at"
	case ready.Status != metav1.ConditionTrue:
		return fmt.Sprintf("is Ready=%s (%s)", ready.Status, ready.Message)
	case ready.ObservedGeneration != class.GetGeneration():
		return fmt.Sprintf("is Ready at generation %d, not yet at %d", ready.ObservedGeneration, class.GetGeneration())
	default:
		return ""
	}
}

func (p *Player) createClaim(ctx context.Context, pool *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	for {
		p.launched++
		claim := &unstructured.Unstructured{Object: map[string]any{}}
		claim.SetGroupVersionKind(NodeClaim)
		claim.SetName(fmt.Sprintf("%s-%05d", pool.GetName(), p.launched))
		claim.SetLabels(labelsFor(pool))
		claim.SetFinalizers([]string{claimFinalizer})
		controls := true
		claim.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: NodePool.GroupVersion().String(), Kind: NodePool.Kind,
			Name: pool.GetName(), UID: pool.GetUID(), BlockOwnerDeletion: &controls}})
		annotate(claim, map[string]string{annotationPoolHash: hashOfPool(pool), annotationPoolHashVersion: poolHashVersion})
		set(claim.Object, field(pool.DeepCopy().Object, "spec", "template", "spec"), "spec")
		err := p.Client.Create(ctx, claim, client.FieldOwner(manager))
		if apierrors.IsAlreadyExists(err) {
			continue // made before this Player was
		}
		if err != nil {
			return nil, fmt.Errorf("creating a NodeClaim of NodePool %s: %w", pool.GetName(), err)
		}
		return claim, nil
	}
}

// tryLaunch asks EC2 for a claim's instance.
func (p *Player) tryLaunch(ctx context.Context, claim *unstructured.Unstructured) error {
	class, err := p.get(ctx, EC2NodeClass, classOf(claim.Object, "spec"))
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	amis := amisFor(class, claim.GetLabels()[labelArch])
	ready := p.conditionsOf(class).get(conditionReady)
	switch {
	case ready == nil || ready.Status == metav1.ConditionUnknown:
		return p.failLaunch(ctx, claim, "NodeClassReadinessUnknown", "NodeClass is in Ready=Unknown")
	case p.whyNotReady(class) != "":
		return client.IgnoreNotFound(p.Client.Delete(ctx, claim))
	case len(amis) == 0 || !p.canLaunch(class):
		// Of EC2's InvalidSnapshot.NotFound no more than this gets into the condition.
		return p.failLaunch(ctx, claim, "LaunchFailed", "Instance launch failed")
	}
	if err := p.patch(ctx, claim, func() {
		annotate(claim, map[string]string{annotationClassHash: hashOfClass(class), annotationClassHashVersion: classHashVersion})
	}); err != nil {
		return fmt.Errorf("writing the hash of EC2NodeClass %s: %w", class.GetName(), err)
	}
	return p.patchStatus(ctx, claim, func() {
		set(claim.Object, amis[0], "status", "imageID")
		set(claim.Object, "aws:///us-west-2a/i-"+madeUp(claim.GetName()), "status", "providerID")
		conditions := p.conditionsOf(claim)
		conditions.pass(conditionLaunched)
		conditions.store()
	})
}

func (p *Player) failLaunch(ctx context.Context, claim *unstructured.Unstructured, reason, message string) error {
	return p.patchStatus(ctx, claim, func() {
		conditions := p.conditionsOf(claim)
		conditions.set(conditionLaunched, metav1.ConditionUnknown, reason, message)
		conditions.store()
	})
}

// Ready says that the node of a launched claim came up. Without it, the claim stays unready.
func (p *Player) Ready(ctx context.Context, claim string) error {
	object, err := p.get(ctx, NodeClaim, claim)
	if err != nil {
		return err
	}
	if !p.conditionsOf(object).isTrue(conditionLaunched) {
		return fmt.Errorf("NodeClaim %s is not launched: no node can come up", claim)
	}
	registered := p.conditionsOf(object).isTrue(conditionRegistered)
	if err := p.patchStatus(ctx, object, func() {
		set(object.Object, claim+".us-west-2.compute.internal", "status", "nodeName")
		conditions := p.conditionsOf(object)
		conditions.pass(conditionRegistered, conditionInitialized)
		conditions.store()
	}); err != nil || registered {
		return err
	}
	return p.register(ctx, object, true)
}
