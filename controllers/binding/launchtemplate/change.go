package launchtemplate

import (
	"slices"
	"strconv"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// change is one change of a template and its groups. It implements binding.Write.
type change struct {
	template launch.Template
	// step is the version to launch by.
	step template.Step
	// setsDefault makes that version the default one, or defaultTo if that is not 0.
	setsDefault bool
	defaultTo   int64
	// updates are groups that name a version by another number.
	updates []launch.Group
	// refreshes are groups whose instances are to be replaced; their Number is to be that of the step where it is not 0.
	refreshes []refresh
	// prune are versions to delete.
	prune []int64
	// restores tells that the device becomes what it was before the binding, and goesBack that Auto Scaling may go back to
	// what is in place now.
	restores, goesBack bool
}

// refresh is an instance refresh to start.
type refresh struct {
	group       launch.Group
	preferences launch.Preferences
	// brings tells that the group launches by the new version once it succeeds, and not before.
	brings bool
}

// isNothing tells that all is as it should be.
func (w *change) isNothing() bool {
	return w.step.Publish == nil && !w.setsDefault && len(w.updates) == 0 && len(w.refreshes) == 0 && len(w.prune) == 0
}

// change plans what it takes to have everything launch by the step's version. A group that Auto Scaling is to take back itself
// gets the version from its refresh, at its end: one that was updated before would go back to the new version
// (https://github.com/hashicorp/terraform-provider-aws/issues/34189).
func (o *observation) change(b *v1alpha1.NodeClassBinding, step template.Step, w change) *change {
	w.template, w.step = o.history.Template, step
	o.changeDefault(b, &w)
	for i := range o.groups {
		g := &o.groups[i]
		if !g.exists {
			continue
		}
		bringing := w.goesBack && g.goesBack() // to restore has no way back
		moves := o.moves(b, g, &w)
		if moves && !bringing {
			w.updates = append(w.updates, g.Group)
		}
		if g.asked.InstanceRefresh != nil && (moves && bringing || o.needsRefresh(b, g, &w)) {
			preferences := preferencesOf(g.asked.InstanceRefresh)
			preferences.AutoRollback = bringing
			w.refreshes = append(w.refreshes, refresh{group: g.Group, preferences: preferences, brings: bringing})
		}
	}
	return &w
}

// changeDefault makes the step's version the default one, if that is asked for. A restoration takes Larder's version from
// there whatever is asked for by now, and prefers the one that it was before.
func (o *observation) changeDefault(b *v1alpha1.NodeClassBinding, w *change) {
	standard, _ := o.history.Resolve(template.Default)
	if standard.Number == w.step.Number {
		return
	}
	if !w.restores {
		w.setsDefault = b.Spec.Target.LaunchTemplate.SetDefault
		return
	}
	if w.setsDefault = o.carries(b, standard.Number); !w.setsDefault {
		return
	}
	former, numbered := launch.Specification{Version: o.history.WasCalled(b.UID, b.Spec.Target.LaunchTemplate.Device.Name, standard.Number)}.Number()
	was, exists := o.history.Resolve(strconv.FormatInt(former, 10))
	if numbered && exists && !o.carries(b, was.Number) {
		w.defaultTo = was.Number
	}
}

// moves tells whether a group names a version by another number than the step's, and none is on its way to it. To restore is
// for groups that launch by Larder's.
func (o *observation) moves(b *v1alpha1.NodeClassBinding, g *group, w *change) bool {
	if desired, brings := o.desired(g); brings && g.refresh.IsActive() && !g.refresh.IsReturning() && desired == w.step.Number {
		return false
	}
	return slices.ContainsFunc(o.specifications(g.Launches), func(one launch.Specification) bool {
		number, numbered := one.Number()
		return numbered && number != w.step.Number && (!w.restores || o.carries(b, number))
	})
}

// needsRefresh tells whether instances of a group were launched with another device, and no refresh was started for them.
func (o *observation) needsRefresh(b *v1alpha1.NodeClassBinding, g *group, w *change) bool {
	if w.step.Publish == nil && g.refresh != nil && o.isFor(g, w.step.Number) {
		return false
	}
	return slices.ContainsFunc(g.Instances, func(one launch.Instance) bool { return o.isOutdated(b, one, w) })
}

// isFor tells whether a group's newest refresh replaces instances for that version: it says so, or began after the version
// was made. One that is pending has no time yet.
func (o *observation) isFor(g *group, number int64) bool {
	if desired, brings := o.desired(g); brings {
		return desired == number
	}
	version, found := o.history.Resolve(strconv.FormatInt(number, 10))
	return found && (g.refresh.StartTime.IsZero() || !g.refresh.StartTime.Before(version.CreateTime))
}

func preferencesOf(asked *v1alpha1.InstanceRefresh) launch.Preferences {
	preferences := launch.Preferences{
		MinHealthyPercentage: asked.MinHealthyPercentage, MaxHealthyPercentage: asked.MaxHealthyPercentage,
		SkipMatching: asked.SkipMatching, CheckpointPercentages: asked.CheckpointPercentages,
	}
	if asked.CheckpointDelay != nil {
		preferences.CheckpointDelay = &asked.CheckpointDelay.Duration
	}
	if asked.InstanceWarmup != nil {
		preferences.InstanceWarmup = &asked.InstanceWarmup.Duration
	}
	if asked.BakeTime != nil {
		preferences.BakeTime = &asked.BakeTime.Duration
	}
	return preferences
}
