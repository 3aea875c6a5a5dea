package binding

import (
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// window is a recurring time in which nodes may be replaced. As with CronJobs, an hour that the clocks skip has no
// opening, and one that they repeat has two.
type window struct {
	schedule cron.Schedule
	duration time.Duration
	zone     *time.Location
}

// parseWindow fails on what the API's rules let through: a field out of its range, a zone that does not exist, and a day
// that never comes.
func parseWindow(spec *v1alpha1.RolloutWindow) (window, error) {
	schedule, err := cron.ParseStandard(spec.Schedule)
	if err != nil {
		return window{}, fmt.Errorf("reading rollout.window.schedule %q: %w", spec.Schedule, err)
	}
	if spec.TimeZone == "Local" { // which is a place in Go, and would be the operator's
		return window{}, errors.New("reading rollout.window.timeZone: Local is nowhere; name a zone, for instance Europe/Berlin")
	}
	zone, err := time.LoadLocation(spec.TimeZone)
	if err != nil {
		return window{}, fmt.Errorf("reading rollout.window.timeZone: %w", err)
	}
	return window{schedule: schedule, duration: spec.Duration.Duration, zone: zone}, nil
}

// opening returns the first time after t at which the window opens; the zero time when it never does.
func (w window) opening(t time.Time) time.Time { return w.schedule.Next(t.In(w.zone)) }

// isOpen tells whether the window opened within its duration before t. The time is when that opening will have closed;
// a later one may keep the window open beyond.
func (w window) isOpen(t time.Time) (bool, time.Time) {
	opened := w.opening(t.Add(-w.duration))
	return !opened.IsZero() && !opened.After(t), opened.Add(w.duration)
}

// windowState is a rollout's window as it stands at one moment.
type windowState struct {
	// exists tells that the rollout has one. Without one, nothing waits for it.
	exists, open bool
	// closes is when it may close, while it is open; next is when it opens next.
	closes, next time.Time
	// invalid is why nobody can tell.
	invalid *Problem
}

func windowAt(binding *v1alpha1.NodeClassBinding, now time.Time) windowState {
	spec := binding.Spec.Rollout.Window
	if spec == nil {
		return windowState{}
	}
	w, err := parseWindow(spec)
	if err == nil && w.opening(now).IsZero() {
		err = fmt.Errorf("rollout.window.schedule %q names a day that never comes", spec.Schedule)
	}
	if err != nil {
		return windowState{exists: true, invalid: &Problem{
			Reason: v1alpha1.ReasonWindowInvalid, Stalled: true, Cause: err,
			Message: fmt.Sprintf("the rollout's window never opens: %v. Change spec.rollout.window, or take it out", err),
		}}
	}
	state := windowState{exists: true, next: w.opening(now)}
	state.open, state.closes = w.isOpen(now)
	return state
}

// until is the time to wait for a moment; at least a second, since times in a status have no fractions.
func until(moment, now time.Time) time.Duration { return max(moment.Sub(now), time.Second) }

// clockTime is a moment as messages spell it.
func clockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
