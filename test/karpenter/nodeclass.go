package karpenter

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// classFinalizer keeps a class while there are NodeClaims of it.
const classFinalizer = "karpenter.k8s.aws/termination"

func (p *Player) settleClass(ctx context.Context, class *unstructured.Unstructured) error {
	if class.GetDeletionTimestamp() != nil {
		return p.releaseClass(ctx, class)
	}
	if err := p.setFinalizer(ctx, class, classFinalizer, true); err != nil {
		return fmt.Errorf("writing the finalizer: %w", err)
	}
	if err := p.patch(ctx, class, func() {
		annotate(class, map[string]string{annotationClassHash: hashOfClass(class), annotationClassHashVersion: classHashVersion})
	}); err != nil {
		return fmt.Errorf("writing the hash: %w", err)
	}
	return p.patchStatus(ctx, class, func() {
		amis := p.amisOf(class)
		set(class.Object, amis, "status", "amis")
		conditions := p.conditionsOf(class)
		conditions.pass(conditionSubnets, conditionSecurityGroups, conditionProfile, conditionPlacementGroup)
		if len(amis) > 0 {
			conditions.pass(conditionAMIs)
		} else {
			conditions.set(conditionAMIs, metav1.ConditionFalse, "AMINotFound", "AMISelector did not match any AMIs")
		}
		if p.validate(class) {
			conditions.pass(conditionValidation)
			conditions.store()
		} else {
			conditions.store(conditionValidation)
		}
	})
}

func (p *Player) releaseClass(ctx context.Context, class *unstructured.Unstructured) error {
	claims, err := p.list(ctx, NodeClaim)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(claims, func(claim *unstructured.Unstructured) bool { return classOf(claim.Object, "spec") == class.GetName() }) {
		return nil
	}
	return p.setFinalizer(ctx, class, classFinalizer, false)
}

// validate is a launch that EC2 is asked to try but not to make. A spec that passed once is not tried again.
func (p *Player) validate(class *unstructured.Unstructured) bool {
	spec := string(encode(field(class.Object, "spec")))
	if p.passed[class.GetUID()] == spec {
		return true
	}
	if !p.canLaunch(class) {
		return false
	}
	if p.passed == nil {
		p.passed = map[types.UID]string{}
	}
	p.passed[class.GetUID()] = spec
	return true
}

// canLaunch tells whether EC2 would take the class's devices now.
func (p *Player) canLaunch(class *unstructured.Unstructured) bool {
	for _, device := range entries(class.Object, "spec", "blockDeviceMappings") {
		if id := text(device, "ebs", "snapshotID"); id != "" && p.Usable != nil && !p.Usable(id) {
			return false
		}
	}
	return true
}

// classOf returns the name in the nodeClassRef below a path; empty when it is of another kind.
func classOf(object map[string]any, path ...string) string {
	ref, _ := field(object, append(path, "nodeClassRef")...).(map[string]any)
	if text(ref, "group") != EC2NodeClass.Group || text(ref, "kind") != EC2NodeClass.Kind {
		return ""
	}
	return text(ref, "name")
}
