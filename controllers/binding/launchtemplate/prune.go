package launchtemplate

import (
	"slices"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// upkeep deletes versions that nothing needs any more; nil when there are none.
func (o *observation) upkeep(b *v1alpha1.NodeClassBinding, number int64) binding.Write {
	prune := o.history.Prunable(b.UID, o.needed(&change{step: template.Step{Number: number}})...)
	if len(prune) == 0 {
		return nil
	}
	return &change{template: o.history.Template, step: template.Step{Number: number}, prune: prune}
}

// prunableAfter returns the versions that nothing needs any more once a change is made: no pass comes after the last one of
// a binding.
func (o *observation) prunableAfter(b *v1alpha1.NodeClassBinding, w *change) []int64 {
	after := o.history
	after.Versions = slices.Clone(o.history.Versions)
	made := w.step.Number
	if next := w.step.Publish; next != nil {
		made = after.Template.LatestVersion + 1
		after.Versions = append(after.Versions, launch.Version{Number: made, Description: next.Description, Devices: next.Devices})
	}
	if w.setsDefault {
		standard := made
		if w.defaultTo != 0 {
			standard = w.defaultTo
		}
		for i := range after.Versions {
			after.Versions[i].Default = after.Versions[i].Number == standard
		}
	}
	return after.Prunable(b.UID, append(o.needed(w), made)...)
}

// needed are the versions that groups, their instances and their refreshes name, but for those that a change takes out.
func (o *observation) needed(w *change) []int64 {
	needed := []int64{w.step.Number}
	for i := range o.groups {
		g := &o.groups[i]
		updated := slices.ContainsFunc(w.updates, func(one launch.Group) bool { return one.Name == g.Name })
		for _, one := range o.specifications(g.Launches) {
			if named, numbered := one.Number(); numbered && !updated {
				needed = append(needed, named)
			}
		}
		for _, instance := range g.Instances {
			if instance.TemplateID == o.history.Template.ID {
				needed = append(needed, instance.Version)
			}
		}
		if desired, brings := o.desired(g); brings && g.refresh.IsActive() {
			needed = append(needed, desired)
		}
	}
	return needed
}
