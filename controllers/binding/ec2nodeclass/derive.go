package ec2nodeclass

import (
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

func derives(b *v1alpha1.NodeClassBinding) bool { return b.Spec.Target.EC2NodeClass.Derive != nil }

// planDerived plans the class that is equal to o.class but for the device. What its owner changes there is kept up even
// when the snapshot does not fit, and does not wait for anything: only the device is the binding's.
func (o *observation) planDerived(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, plan *binding.Plan) {
	if problem := o.notToDerive(b); problem != nil {
		plan.Problem = problem
		return
	}
	o.planUpkeep(b, snapshot, plan)
	if plan.Problem != nil {
		return
	}
	device := &b.Spec.Target.EC2NodeClass.Device
	own := find(completeDevices(o.class), device.Name)
	wanted, problem := desired(o.class.GetName(), own, own, device, snapshot)
	if problem != nil || snapshot.ID == "" {
		plan.Problem = problem
		return
	}
	planUnlessUpkeep(o.renderUnlessEqual(b, wanted, snapshot.ID), plan)
}

// planDerivedWithout plans the class as it is equal to o.class, the device included.
func (o *observation) planDerivedWithout(b *v1alpha1.NodeClassBinding, plan *binding.Plan) {
	if plan.Problem = o.notToDerive(b); plan.Problem != nil {
		return
	}
	o.planUpkeep(b, binding.Snapshot{}, plan)
	planUnlessUpkeep(o.renderUnlessEqual(b, nil, ""), plan)
}

// onlyOfItsOwner leaves out an upkeep that would render what was rendered last: then it is not the class that changed, but
// somebody wrote the derived one. To take that back can replace nodes, so it is for Write, which the rollout holds back.
func onlyOfItsOwner(upkeep binding.Write, written rendering) binding.Write {
	if upkeep != nil && upkeep.(*write).mark.written.Spec == written.Spec {
		return nil
	}
	return upkeep
}

// planUpkeep also names who changed the derived class since Larder wrote it.
func (o *observation) planUpkeep(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, plan *binding.Plan) {
	if o.derived == nil {
		return
	}
	name := b.Spec.Target.EC2NodeClass.Device.Name
	written := lastRendering(o.derived, name, find(completeDevices(o.class), name))
	plan.Upkeep = onlyOfItsOwner(o.upkeep(b, snapshot, written), written)
	if hashOf(specOf(o.derived)) != written.Spec {
		plan.TakenBackBy = lastEditor(o.derived)
		plan.Remedy = derivedRemedy(plan.TakenBackBy, o.derived.GetName(), o.class.GetName())
	}
}

// planUnlessUpkeep leaves out a write that upkeep makes as well, so that nothing of it has to wait. But what mends a revert
// stays a write: it is those that are counted.
func planUnlessUpkeep(w binding.Write, plan *binding.Plan) {
	if plan.TakenBackBy != "" || !isSame(w, plan.Upkeep) {
		plan.Write = w
	}
}

func isSame(planned, upkeep binding.Write) bool {
	return planned != nil && upkeep != nil && reflect.DeepEqual(planned.(*write).spec, upkeep.(*write).spec)
}

// notToDerive says why the derived class is not Larder's to write. Whoever made one of that name without Larder's mark, or
// with that of another binding, did not agree to have it replaced.
func (o *observation) notToDerive(b *v1alpha1.NodeClassBinding) *binding.Problem {
	name, from := b.Spec.Target.EC2NodeClass.Derive.Name, b.Spec.Target.EC2NodeClass.Name
	switch {
	case o.derived == nil:
		return nil
	case !isMadeFor(o.derived, b):
		return &binding.Problem{
			Reason: v1alpha1.ReasonDerivedClassExists, Stalled: true,
			Message: fmt.Sprintf("EC2NodeClass %s exists and is not this binding's, so it is left alone: delete it if nothing "+
				"needs it, or delete this binding and make one with another name in spec.target.ec2NodeClass.derive", name),
		}
	case o.derived.GetDeletionTimestamp() != nil:
		return &binding.Problem{
			Reason: v1alpha1.ReasonTargetMissing,
			Message: fmt.Sprintf("EC2NodeClass %s is being deleted, and is made from %s again when it is gone: to be rid of it, "+
				"delete this binding", name, from),
		}
	default:
		return nil
	}
}

func isMadeFor(derived *unstructured.Unstructured, b *v1alpha1.NodeClassBinding) bool {
	return derived.GetLabels()[v1alpha1.LabelBinding] == string(b.UID)
}

// upkeep brings the derived class in step with the class, and leaves the snapshot in place there. What the binding decides
// of the device stays as it was last written, since a changed binding is for Write; unless the class changed its own device
// in these fields, which replaces every node whatever Larder does.
func (o *observation) upkeep(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, written rendering) binding.Write {
	device := &b.Spec.Target.EC2NodeClass.Device
	own := find(completeDevices(o.class), device.Name)
	switch {
	case written.SnapshotID == "":
		return o.renderUnlessEqual(b, nil, "")
	case !carries(completeDevices(o.class), device.Name):
		return nil
	case sameTuned(own, written.Own):
		kept := written.Device
		if own != nil {
			kept = runtime.DeepCopyJSON(own)
			copyTuned(ebsOf(kept), ebsOf(written.Device))
		}
		return o.renderUnlessEqual(b, kept, written.SnapshotID)
	}
	if snapshot.ID != written.SnapshotID {
		// Its size is not known any more, but the volume was large enough for it.
		snapshot = binding.Snapshot{ID: written.SnapshotID, SizeGiB: sizeGiB(ebsOf(written.Device)["volumeSize"])}
	}
	wanted, problem := desired(o.class.GetName(), own, own, device, snapshot)
	if problem != nil {
		return nil
	}
	return o.renderUnlessEqual(b, wanted, snapshot.ID)
}

// carries tells whether the device can be put into the list: one of nothing else would replace a root device that is not
// known, and of two it is not known which to replace.
func carries(devices []any, name string) bool {
	same := 0
	for _, device := range devices {
		if nameOf(device) == name {
			same++
		}
	}
	own := find(devices, name)
	return len(devices) > 0 && same <= 1 && (own == nil || ebsOf(own) != nil)
}

// sameTuned tells whether two devices, either of which may be nil, are equal in what a binding decides.
func sameTuned(a, b mapping) bool {
	if (ebsOf(a) == nil) != (ebsOf(b) == nil) {
		return false
	}
	return !slices.ContainsFunc(tuned, func(field string) bool {
		return !reflect.DeepEqual(ebsOf(a)[field], ebsOf(b)[field])
	})
}

// renderUnlessEqual returns the write that makes the derived class equal to the class but for the device; nil when it is
// so. Without a device the class's own stays. What the API server gave the class by default, it would give the derived
// one too: so what is read of the one can be compared with what is read of the other.
func (o *observation) renderUnlessEqual(b *v1alpha1.NodeClassBinding, device mapping, snapshotID string) binding.Write {
	target := b.Spec.Target.EC2NodeClass
	spec := runtime.DeepCopyJSON(specOf(o.class))
	if device != nil {
		spec["blockDeviceMappings"] = replace(completeDevices(o.class), target.Device.Name, device)
	}
	if o.derived != nil && reflect.DeepEqual(specOf(o.derived), spec) {
		return nil
	}
	written := rendering{
		Spec: hashOf(spec), SnapshotID: snapshotID, Device: device, Own: find(completeDevices(o.class), target.Device.Name),
	}
	return &write{verb: render, class: o.observedOrNew(target.Derive.Name), spec: spec, mark: mark{
		bindingUID: string(b.UID), from: target.Name, written: written,
	}}
}

// observedOrNew returns the derived class, or one of its name that has nothing else yet.
func (o *observation) observedOrNew(name string) *unstructured.Unstructured {
	if o.derived != nil {
		return o.derived
	}
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(classKind)
	class.SetName(name)
	return class
}

func specOf(class *unstructured.Unstructured) map[string]any {
	spec, _ := class.Object["spec"].(map[string]any)
	return spec
}
