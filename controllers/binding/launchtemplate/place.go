package launchtemplate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// place is something that says by which version instances are launched.
type place struct {
	// who is a group, or one of the template's own names: "Auto Scaling group web", "the default version".
	who string
	// called is how it names the version: "7", "$Latest".
	called string
	// launching is the number that it launches by.
	launching int64
	// asked is the number that it was last asked to launch by, which an instance refresh that failed did not come to.
	asked int64
	// consumes tells that something launches by it: not so the default version beside groups.
	consumes bool
}

// latestVersion and defaultVersion are how these places are called in sentences.
const (
	latestVersion  = "the latest version"
	defaultVersion = "the default version"
)

// places returns what says by which version instances are launched. Groups that cannot follow are a problem: then nothing
// is written to any.
func (o *observation) places(b *v1alpha1.NodeClassBinding) ([]place, *binding.Problem) {
	if o.problem != nil {
		return nil, o.problem
	}
	found := o.existing(b)
	for i := range o.groups {
		if problem := o.refuse(&o.groups[i], b.Spec.Target.LaunchTemplate.SetDefault); problem != nil {
			return found, problem
		}
	}
	return found, o.apart(b, found)
}

// existing returns the places as far as they are there.
func (o *observation) existing(b *v1alpha1.NodeClassBinding) []place {
	spec := b.Spec.Target.LaunchTemplate
	var found []place
	for i := range o.groups {
		found = append(found, o.placesOf(b, &o.groups[i])...)
	}
	if spec.SetDefault {
		found = append(found, o.own(defaultVersion, template.Default, len(o.groups) == 0))
	}
	if !spec.SetDefault && len(o.groups) == 0 {
		found = append(found, o.own(latestVersion, template.Latest, true))
	}
	return found
}

func (o *observation) own(who, called string, consumes bool) place {
	version, _ := o.history.Resolve(called)
	return place{who: who, called: called, launching: version.Number, asked: version.Number, consumes: consumes}
}

// placesOf returns one place for each way in which a group names a version of the template.
func (o *observation) placesOf(b *v1alpha1.NodeClassBinding, g *group) []place {
	var found []place
	for _, specification := range o.specifications(g.Launches) {
		one := o.own(g.title(), cmp.Or(specification.Version, template.Default), true)
		if number, numbered := specification.Number(); numbered {
			one.launching, one.asked = number, number
			if desired, brings := o.desired(g); brings {
				switch {
				case g.refresh.IsActive() && !g.refresh.IsReturning():
					one.launching, one.asked = desired, desired
				case !g.refresh.HasSucceeded() && o.names(desired, b.Status.AppliedSnapshotID, b):
					one.asked = desired
				}
			}
		}
		if !slices.Contains(found, one) {
			found = append(found, one)
		}
	}
	return found
}

// carries tells whether a version was made for the binding, or has a snapshot of its: somebody made it of such a one.
func (o *observation) carries(b *v1alpha1.NodeClassBinding, number int64) bool {
	status := &b.Status
	return o.history.IsOurs(b.UID, number) || o.names(number, status.AppliedSnapshotID, b) ||
		o.names(number, status.LastKnownGoodSnapshotID, b) || o.names(number, status.RejectedSnapshotID, b)
}

func (o *observation) names(number int64, snapshotID string, b *v1alpha1.NodeClassBinding) bool {
	return snapshotID != "" && o.history.SnapshotOf(number, b.Spec.Target.LaunchTemplate.Device.Name) == snapshotID
}

// specifications returns those that name a version of this template.
func (o *observation) specifications(of []launch.Specification) []launch.Specification {
	var ours []launch.Specification
	for _, one := range of {
		if one.TemplateID == o.history.Template.ID {
			ours = append(ours, one)
		}
	}
	return ours
}

// desired is the number of the version that the newest refresh of a group is to bring; false when it says none.
func (o *observation) desired(g *group) (int64, bool) {
	if g.refresh == nil {
		return 0, false
	}
	for _, one := range o.specifications(g.refresh.Desired) {
		if number, numbered := one.Number(); numbered {
			return number, true
		}
	}
	return 0, false
}

func (g *group) title() string { return "Auto Scaling group " + g.asked.Name }

// refuse says why a group cannot follow the template.
func (o *observation) refuse(g *group, setDefault bool) *binding.Problem {
	ours := o.specifications(g.Launches)
	id := o.history.Template.ID
	byDefault := slices.ContainsFunc(ours, func(one launch.Specification) bool {
		_, numbered := one.Number()
		return !numbered && !one.IsLatest()
	})
	unnumbered := slices.ContainsFunc(g.Launches, func(one launch.Specification) bool {
		_, numbered := one.Number()
		return !numbered
	})
	switch {
	case !g.exists:
		return stalled(v1alpha1.ReasonTargetMissing, "%s does not exist in this account and Region: make it, or take it from "+
			"target.launchTemplate.autoScalingGroups", g.title())
	case len(g.Launches) == 0:
		return stalled(v1alpha1.ReasonNoLaunchTemplate, "%s launches by a launch configuration, which cannot change: have it launch by "+
			"launch template %s, or take it from target.launchTemplate.autoScalingGroups", g.title(), id)
	case len(ours) == 0:
		return stalled(v1alpha1.ReasonOtherTemplate, "%s launches by launch template %s and not by %s: have it launch by that, or take "+
			"it from target.launchTemplate.autoScalingGroups", g.title(), g.Launches[0].TemplateID, id)
	case byDefault && !setDefault:
		return stalled(v1alpha1.ReasonVersionNotLaunched, "%s launches by the default version of launch template %s, which Larder does not "+
			"change: set target.launchTemplate.setDefault, or have the group launch by $Latest or a number", g.title(), id)
	case g.goesBack() && unnumbered:
		return stalled(v1alpha1.ReasonFieldUnsupported, "%s launches by $Latest or $Default, and Auto Scaling can roll an instance refresh "+
			"back only from a version that is named by its number: leave instanceRefresh.autoRollback out, or have the group "+
			"launch by a number", g.title())
	}
	return nil
}

// goesBack tells whether Auto Scaling itself is to take a refresh back that fails.
func (g *group) goesBack() bool {
	return g.asked.InstanceRefresh != nil && g.asked.InstanceRefresh.AutoRollback
}

// apart says that what launches by the template does so by versions of different origin: one version for all of them would
// change what else some of them launch with.
func (o *observation) apart(b *v1alpha1.NodeClassBinding, places []place) *binding.Problem {
	var first *place
	var origin int64
	for i := range places {
		one := &places[i]
		from, found := o.history.Origin(b.UID, b.Spec.Target.LaunchTemplate.Device.Name, one.launching)
		switch {
		case !one.consumes || !found:
		case first == nil:
			first, origin = one, from.Number
		case origin != from.Number:
			return stalled(v1alpha1.ReasonVersionNotLaunched, "%s launches by version %d of launch template %s and %s by version %d, and "+
				"Larder makes one version for all: have them launch by the same, or make a template for each", first.who,
				first.launching, o.history.Template.ID, one.who, one.launching)
		}
	}
	return nil
}

// newest returns what launches by the newest version.
func newest(places []place) place {
	var found place
	for _, one := range places {
		if one.consumes && one.launching > found.launching {
			found = one
		}
	}
	return found
}

// former is what the template's default version was called before the binding, or how a consumer calls its version.
func (o *observation) former(b *v1alpha1.NodeClassBinding, consumer place) string {
	if !b.Spec.Target.LaunchTemplate.SetDefault {
		return consumer.called
	}
	standard, _ := o.history.Resolve(template.Default)
	return cmp.Or(o.history.WasCalled(b.UID, b.Spec.Target.LaunchTemplate.Device.Name, standard.Number), strconv.FormatInt(standard.Number, 10))
}

func stalled(reason, format string, args ...any) *binding.Problem {
	return &binding.Problem{Reason: reason, Stalled: true, RetryAfter: afterDenied, Message: fmt.Sprintf(format, args...)}
}
