package launchtemplate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// longUpdate is how long somebody else's instance refresh may run until a person is told.
const longUpdate = time.Hour

// progress tells of the instance refreshes for what this binding wrote; empty when none runs.
func (o *observation) progress(b *v1alpha1.NodeClassBinding) string {
	var running []string
	for i := range o.groups {
		g := &o.groups[i]
		if !o.isRefreshingForUs(b, g) {
			continue
		}
		running = append(running, fmt.Sprintf("the instance refresh of %s is %s, %d %% complete%s", g.title(), g.refresh.Status, g.refresh.Percentage,
			because(g.refresh.Reason)))
	}
	return strings.Join(running, "; ")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(reason, ".")
}

// isRefreshingForUs tells whether a refresh of a group runs that replaces instances for a version of the binding's.
func (o *observation) isRefreshingForUs(b *v1alpha1.NodeClassBinding, g *group) bool {
	if g.refresh == nil || !g.refresh.IsActive() || g.asked.InstanceRefresh == nil {
		return false
	}
	if desired, brings := o.desired(g); brings {
		return o.history.IsOurs(b.UID, desired)
	}
	return slices.ContainsFunc(o.placesOf(b, g), func(one place) bool {
		return o.history.IsOurs(b.UID, one.launching) && o.isFor(g, one.launching)
	})
}

// busy is about the first group whose instances are being replaced for another version than the step's; nil when there is
// none.
func (o *observation) busy(b *v1alpha1.NodeClassBinding, step template.Step, now time.Time) *binding.Problem {
	for i := range o.groups {
		g := &o.groups[i]
		if g.refresh == nil || !g.refresh.IsActive() {
			continue
		}
		if step.Publish == nil && !g.refresh.IsReturning() && o.isFor(g, step.Number) {
			continue
		}
		problem := &binding.Problem{
			Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: atWork,
			Message: fmt.Sprintf("instance refresh %s of %s is %s, %d %% complete%s: Larder goes on when it is over", g.refresh.ID, g.title(),
				g.refresh.Status, g.refresh.Percentage, because(g.refresh.Reason)),
		}
		since := g.refresh.StartTime
		if !o.isRefreshingForUs(b, g) && !since.IsZero() && now.Sub(since) > longUpdate {
			problem.Stalled = true
			problem.Message = fmt.Sprintf("instance refresh %s of %s, which Larder did not start, runs since %s and is %s, %d %% complete%s: "+
				"see what it waits for, or cancel it; Larder goes on when it is over", g.refresh.ID, g.title(),
				since.UTC().Format(time.RFC3339), g.refresh.Status, g.refresh.Percentage, because(g.refresh.Reason))
		}
		return problem
	}
	return nil
}

// pools counts the instances of each group. A change tells which of them it would replace; nil for none.
func (o *observation) pools(b *v1alpha1.NodeClassBinding, w *change) []binding.Pool {
	var pools []binding.Pool
	for i := range o.groups {
		g := &o.groups[i]
		pool := binding.Pool{Name: g.asked.Name}
		for _, instance := range g.Instances {
			switch {
			case instance.IsLeaving():
			case instance.TemplateID == o.history.Template.ID && o.names(instance.Version, b.Status.AppliedSnapshotID, b):
				pool.Current++
			default:
				pool.Outdated++
			}
			if w != nil && o.isReplaced(g, instance, w) {
				pool.Staying++
			}
		}
		pools = append(pools, pool)
	}
	slices.SortFunc(pools, func(a, b binding.Pool) int { return strings.Compare(a.Name, b.Name) })
	return pools
}

// isReplaced tells whether a change replaces an instance. Auto Scaling leaves those alone that match only if it is asked to.
func (o *observation) isReplaced(g *group, instance launch.Instance, w *change) bool {
	started := slices.ContainsFunc(w.refreshes, func(one refresh) bool { return one.group.Name == g.Name })
	if !started || instance.IsLeaving() {
		return false
	}
	skips := g.asked.InstanceRefresh.SkipMatching
	matches := w.step.Publish == nil && instance.TemplateID == o.history.Template.ID && instance.Version == w.step.Number
	return skips != nil && !*skips || !matches
}
