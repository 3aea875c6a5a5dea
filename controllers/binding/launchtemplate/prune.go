package launchtemplate

import (
	"slices"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
)

// prune deletes versions of the binding's that nothing needs; nil when there are none.
func (o *observation) prune(b *v1alpha1.NodeClassBinding, number int64) binding.Write {
	needed := append(slices.Clone(o.named), number)
	for i := range o.groups {
		if desired, brings := o.desired(&o.groups[i]); brings && o.groups[i].refresh.IsActive() {
			needed = append(needed, desired)
		}
	}
	unused := o.history.Prunable(b.UID, needed...)
	if len(unused) == 0 {
		return nil
	}
	return &change{template: o.history.Template, step: template.Step{Number: number}, prune: unused}
}
