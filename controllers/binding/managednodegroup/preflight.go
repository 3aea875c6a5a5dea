package managednodegroup

import (
	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/controllers/binding/template"
)

// capacitySpot is a group's CapacityType of Spot instances.
const capacitySpot = "SPOT"

// imagesOf returns the ids of AMIs that EC2 has to tell of: EKS's own are known by the group's type.
func (o *observation) imagesOf(b *v1alpha1.NodeClassBinding) []string {
	if !o.group.HasCustomAMI() {
		return nil
	}
	return preflight.ImageOf(o.underWay(b))
}

// preflight judges the nodes that would boot with a step's version.
func (o *observation) preflight(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, want template.Want, step template.Step) (*binding.Problem, []binding.Warning) {
	name, templateName := named(o.group), "launch template "+o.group.Template.ID
	in := preflight.Input{
		Words: preflight.Words{
			Target: name, Kind: "node group", Device: "spec.target.managedNodeGroup.device",
			List: templateName, UserData: "the user data of " + templateName, Architectures: "the group's AMI",
		},
		Device:    deviceOf(b).Name,
		Snapshot:  snapshot,
		Burst:     int64(o.group.MaxSize),
		Launchers: []preflight.Launcher{{Name: name, Role: preflight.AutoScalingRole(preflight.AutoScalingServiceRole)}},
	}
	if o.group.CapacityType == capacitySpot {
		in.Launchers = append(in.Launchers, preflight.Launcher{Name: name, Role: preflight.SpotRole()})
	}
	if o.group.HasCustomAMI() {
		in.ReadAMIs(o.images)
		in.Runtime = amifamily.Kubernetes
	} else {
		in.ReadAMIType(o.group.AMIType)
	}
	in.ReadStep(o.history, want.From, step)
	problem, warnings := preflight.Check(in)
	return problem, append(warnings, o.imageWarnings...)
}
