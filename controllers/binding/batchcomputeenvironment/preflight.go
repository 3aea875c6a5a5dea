package batchcomputeenvironment

import (
	"slices"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// imagesOf returns the ids of all AMIs that instances may boot from.
func (o *observation) imagesOf() []string {
	var ids []string
	for _, one := range o.uses {
		own, _ := o.amisOf(one)
		ids = append(ids, own...)
	}
	return ids
}

// amisOf returns what the instances of one template boot from, in the order in which Batch looks: AMIs by their ids, and
// Amazon's newest by the names of their families.
// https://docs.aws.amazon.com/batch/latest/userguide/ami-selection-order.html
func (o *observation) amisOf(one use) (ids, families []string) {
	own := preflight.ImageOf(one.current())
	switch {
	case len(own) > 0 && len(one.named.InstanceTypes) > 0:
		return own, nil
	case o.environment.ImageID != "":
		return []string{o.environment.ImageID}, nil
	}
	for _, image := range o.environment.Images {
		switch {
		case image.ID != "":
			ids = append(ids, image.ID)
		case len(own) == 0:
			families = append(families, image.Type)
		}
	}
	if len(ids) == 0 || len(ids) < len(o.environment.Images) {
		ids = append(ids, own...)
	}
	return ids, families
}

// preflight judges the instances that would boot with each of the changed templates. The first problem is the one of the
// environment's own template, if it has one.
func (o *observation) preflight(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, changes []change) (*binding.Problem, []binding.Warning) {
	var problem *binding.Problem
	warnings := slices.Clone(o.imageWarnings)
	for i, one := range o.uses {
		found, told := preflight.Check(o.preflightInput(b, snapshot, one, changes[i]))
		if problem == nil {
			problem = found
		}
		for _, warning := range told {
			if !slices.Contains(warnings, warning) {
				warnings = append(warnings, warning)
			}
		}
	}
	return problem, warnings
}

// preflightInput has no number of instances: Batch counts in vCPUs, and does not tell how many instances may start at once.
func (o *observation) preflightInput(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, one use, next change) preflight.Input {
	name, templateName := Kind+" "+o.environment.Name, "launch template "+one.history.Template.ID
	in := preflight.Input{
		Words: preflight.Words{
			Target: name, Kind: "compute environment", Device: "spec.target.batchComputeEnvironment.device",
			List: templateName, UserData: "the user data of " + templateName, Architectures: "the environment's instance types",
		},
		Device:    b.Spec.Target.BatchComputeEnvironment.Device.Name,
		Snapshot:  snapshot,
		Launchers: []preflight.Launcher{{Name: name, Role: preflight.AutoScalingRole(preflight.AutoScalingServiceRole)}},
	}
	if o.environment.Spot {
		in.Launchers = append(in.Launchers, preflight.Launcher{Name: name, Role: preflight.SpotRole()})
	}
	o.readSystem(&in, one)
	step := template.Step{}
	if next.step != nil {
		step = *next.step
	}
	in.ReadStep(one.history, one.current(), step)
	return in
}

// readSystem tells what the instances of one template run. An environment of EKS has nodes of Kubernetes, and any other one
// hosts of ECS, whatever they boot from.
func (o *observation) readSystem(in *preflight.Input, one use) {
	ids, families := o.amisOf(one)
	var images []ami.Image
	for _, image := range o.images {
		if slices.Contains(ids, image.ID) {
			images = append(images, image)
		}
	}
	if len(images) < len(ids) {
		images = nil // what is not known of one is not known of the environment
	}
	in.ReadAMIs(images)
	var systems []amifamily.System
	for _, family := range families {
		systems = append(systems, amifamily.OfBatchType(family))
	}
	if len(ids) > 0 {
		systems = append(systems, amifamily.OfImages(images))
	}
	in.Family, in.Stock = amifamily.Common(systems).Family, in.Stock || len(ids) == 0
	if in.Runtime = amifamily.Docker; o.environment.EKS {
		in.Runtime = amifamily.Kubernetes
	}
}
