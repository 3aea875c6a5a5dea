package binding

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func windowOf(schedule, zone string, duration time.Duration) *v1alpha1.RolloutWindow {
	return &v1alpha1.RolloutWindow{Schedule: schedule, TimeZone: zone, Duration: metav1.Duration{Duration: duration}}
}

func TestWindow(t *testing.T) {
	const berlin, newYork = "Europe/Berlin", "America/New_York"
	nightly := windowOf("0 2 * * *", "UTC", time.Hour)
	cases := map[string]struct {
		reason     string
		window     *v1alpha1.RolloutWindow
		at         string
		open       bool
		next, ends string
	}{
		"before": {
			reason: "a second too early is too early",
			window: nightly, at: "2026-05-01T01:59:59Z", next: "2026-05-01T02:00:00Z",
		},
		"at its opening": {
			reason: "the first moment belongs to it",
			window: nightly, at: "2026-05-01T02:00:00Z", open: true, next: "2026-05-02T02:00:00Z", ends: "2026-05-01T03:00:00Z",
		},
		"in its last second": {
			reason: "so does the last",
			window: nightly, at: "2026-05-01T02:59:59Z", open: true, next: "2026-05-02T02:00:00Z", ends: "2026-05-01T03:00:00Z",
		},
		"at its end": {
			reason: "its end does not",
			window: nightly, at: "2026-05-01T03:00:00Z", next: "2026-05-02T02:00:00Z",
		},
		"across midnight": {
			reason: "a window is where it began, not a part of a day",
			window: windowOf("0 22 * * 5", "", 12*time.Hour), at: "2026-05-02T09:59:59Z", open: true,
			next: "2026-05-08T22:00:00Z", ends: "2026-05-02T10:00:00Z",
		},
		"a window that never closes": {
			reason: "each opening comes before the last one ended",
			window: windowOf("@hourly", "UTC", 2*time.Hour), at: "2026-05-01T11:30:00Z", open: true,
			next: "2026-05-01T12:00:00Z", ends: "2026-05-01T12:00:00Z",
		},
		"in its own zone": {
			reason: "two o'clock in Berlin is midnight in UTC, in summer",
			window: windowOf("0 2 * * *", berlin, time.Hour), at: "2026-07-01T00:30:00Z", open: true,
			next: "2026-07-02T00:00:00Z", ends: "2026-07-01T01:00:00Z",
		},
		"in its own zone, in winter": {
			reason: "and one o'clock in winter",
			window: windowOf("0 2 * * *", berlin, time.Hour), at: "2026-12-01T00:30:00Z", next: "2026-12-01T01:00:00Z",
		},
		"open while the clocks go forward": {
			reason: "an hour is an hour, though the clocks show two more",
			window: windowOf("30 1 * * *", berlin, time.Hour), at: "2026-03-29T01:29:59Z", open: true,
			next: "2026-03-29T23:30:00Z", ends: "2026-03-29T01:30:00Z",
		},
		"an opening that the clocks skip": {
			reason: "half past two does not come on that day, so the window opens on the next, as a CronJob runs",
			window: windowOf("30 2 * * *", berlin, time.Hour), at: "2026-03-29T01:15:00Z", next: "2026-03-30T00:30:00Z",
		},
		"an opening that the clocks repeat, the first": {
			reason: "half past two comes twice on that day",
			window: windowOf("30 2 * * *", berlin, 30*time.Minute), at: "2026-10-25T00:45:00Z", open: true,
			next: "2026-10-25T01:30:00Z", ends: "2026-10-25T01:00:00Z",
		},
		"an opening that the clocks repeat, the second": {
			reason: "and the window opens at both",
			window: windowOf("30 2 * * *", berlin, 30*time.Minute), at: "2026-10-25T01:45:00Z", open: true,
			next: "2026-10-26T01:30:00Z", ends: "2026-10-25T02:00:00Z",
		},
		"long, over a change of the clocks": {
			reason: "a duration is counted in hours that pass, not in those that clocks show",
			window: windowOf("0 20 * * 6", newYork, 8*time.Hour), at: "2026-11-01T07:59:59Z", open: true,
			next: "2026-11-08T01:00:00Z", ends: "2026-11-01T08:00:00Z",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w, err := parseWindow(tc.window)
			if err != nil {
				t.Fatal(err)
			}
			at := moment(t, tc.at)
			open, ends := w.isOpen(at)
			if open != tc.open {
				t.Errorf("%s: open is %v", tc.reason, open)
			}
			if open && !ends.Equal(moment(t, tc.ends)) {
				t.Errorf("%s: it ends at %s, want %s", tc.reason, clockTime(ends), tc.ends)
			}
			if next := w.opening(at); !next.Equal(moment(t, tc.next)) {
				t.Errorf("%s: it opens next at %s, want %s", tc.reason, clockTime(next), tc.next)
			}
		})
	}
}

func TestWindowThatNobodyCanTell(t *testing.T) {
	cases := map[string]struct {
		reason string
		window *v1alpha1.RolloutWindow
		says   string
	}{
		"a field out of its range": {
			reason: "the API's rule counts fields and does not read them",
			window: windowOf("0 25 * * *", "UTC", time.Hour), says: `rollout.window.schedule "0 25 * * *"`,
		},
		"an unknown zone": {
			reason: "the API server does not know zones",
			window: windowOf("0 2 * * *", "Europe/Atlantis", time.Hour), says: "unknown time zone Europe/Atlantis",
		},
		"the operator's own zone": {
			reason: "where the operator runs is nobody's business",
			window: windowOf("0 2 * * *", "Local", time.Hour), says: "Local is nowhere",
		},
		"a day that never comes": {
			reason: "a rollout that waits for it would wait for ever, and say nothing",
			window: windowOf("0 2 30 2 *", "UTC", time.Hour), says: "names a day that never comes",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := &v1alpha1.NodeClassBinding{}
			b.Spec.Rollout.Window = tc.window
			problem := windowAt(b, moment(t, "2026-05-01T00:00:00Z")).invalid
			if problem == nil || problem.Reason != v1alpha1.ReasonWindowInvalid || !problem.Stalled || !strings.Contains(problem.Message, tc.says) {
				t.Errorf("%s: got %+v, want %s and %q", tc.reason, problem, v1alpha1.ReasonWindowInvalid, tc.says)
			}
		})
	}
}
