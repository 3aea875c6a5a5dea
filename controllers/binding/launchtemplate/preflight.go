package launchtemplate

import (
	"cmp"
	"fmt"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/controllers/binding/template"
)

// title names the template by both its id and its name.
func (o *observation) title() string {
	return fmt.Sprintf("%s %s (%s)", Kind, o.history.Template.ID, o.history.Template.Name)
}

// imagesOf returns the id of the AMI that instances boot from, if the template names one.
func (o *observation) imagesOf(b *v1alpha1.NodeClassBinding) []string {
	return preflight.ImageOf(o.want(b, newest(o.existing(b)), "").From)
}

// preflight judges the instances that would boot with a step's version.
func (o *observation) preflight(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, want template.Want, step template.Step) (*binding.Problem, []binding.Warning) {
	in := preflight.Input{
		Words: preflight.Words{
			Target: o.title(), Kind: Kind, Device: "spec.target.launchTemplate.device",
			List: "the template", UserData: "the user data", Architectures: "the template's AMI",
		},
		Device:    b.Spec.Target.LaunchTemplate.Device.Name,
		Snapshot:  snapshot,
		Launchers: o.launchers(want.From.Spot),
	}
	for i := range o.groups {
		in.Burst += int64(o.groups[i].Max)
	}
	in.ReadAMIs(o.images)
	in.ReadStep(o.history, want.From, step)
	problem, warnings := preflight.Check(in)
	return problem, append(warnings, o.imageWarnings...)
}

// launchers are the groups that the binding names. Who else launches with the template cannot be known.
func (o *observation) launchers(spot bool) []preflight.Launcher {
	var all []preflight.Launcher
	for i := range o.groups {
		group := &o.groups[i]
		role := preflight.AutoScalingRole(cmp.Or(group.Role, preflight.AutoScalingServiceRole))
		all = append(all, preflight.Launcher{Name: group.title(), Role: role})
		if spot || group.Spot {
			all = append(all, preflight.Launcher{Name: group.title(), Role: preflight.SpotRole()})
		}
	}
	if spot && len(o.groups) == 0 {
		all = append(all, preflight.Launcher{Name: o.title(), Role: preflight.SpotRole()})
	}
	return all
}
