package managednodegroup

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
)

const (
	good  = "snap-0000000000000000a"
	newer = "snap-0000000000000000b"
)

var (
	written = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	now     = written.Add(30 * time.Minute)
)

// bound is a binding that applied a snapshot when it was written, with the good one proven.
func bound(applied string) *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "11111111-2222-3333-4444-555555555555"}}
	b.Spec.Target.ManagedNodeGroup = &v1alpha1.ManagedNodeGroupTarget{ClusterName: "prod", NodeGroupName: "web", Device: v1alpha1.Device{Name: "/dev/xvdb"}}
	if applied != "" {
		b.Status.AppliedSnapshotID, b.Status.AppliedTime = applied, &metav1.Time{Time: written}
		b.Status.LastKnownGoodSnapshotID, b.Status.LastKnownGoodProven = good, true
	}
	return b
}

// groupOn is a group of three nodes on a version, 1 of which is a person's, 2 has the good snapshot, and 3 the newer one.
func groupOn(t *testing.T, version int64, updates ...eks.Update) *observation {
	t.Helper()
	o := &observation{
		group: eks.NodeGroup{
			Cluster: "prod", Name: "web", Status: eks.StatusActive, CreateTime: written.Add(-time.Hour), AMIType: "BOTTLEROCKET_x86_64",
			KubernetesVersion: "1.34", ReleaseVersion: "1.49.0-0a1b2c3d", DesiredSize: 3,
			Template: &eks.Template{ID: "lt-1", Version: strconv.FormatInt(version, 10)},
		},
		updates: updates,
		history: template.History{Template: launch.Template{ID: "lt-1"}, Versions: []launch.Version{{
			TemplateID: "lt-1", Number: 1, Default: true, CreatedBy: "arn:aws:iam::111122223333:role/terraform",
			Devices: []launch.Device{{Name: "/dev/xvdb", EBS: &launch.Volume{SizeGiB: 20, Type: "gp3"}}},
		}}},
	}
	for number, id := range []string{good, newer} {
		step, problem := o.history.With(template.Want{
			Binding: bound("").UID, From: o.history.Versions[number], Device: v1alpha1.Device{Name: "/dev/xvdb"}, NewerThan: int64(number + 1),
		}, binding.Snapshot{ID: id, SizeGiB: 40})
		if problem != nil || step.Publish == nil {
			t.Fatal(step, problem)
		}
		o.history.Versions = append(o.history.Versions, launch.Version{
			TemplateID: "lt-1", Number: int64(number + 2), Description: step.Publish.Description, Devices: step.Publish.Devices,
		})
	}
	return o
}

// asked is an update to a version, asked for so long after the binding's write.
func asked(version int64, status string, after time.Duration) eks.Update {
	update := eks.Update{ID: "u-" + strconv.FormatInt(version, 10), Type: "VersionUpdate", Status: status, TemplateVersion: version, CreateTime: written.Add(after)}
	if status == eks.UpdateFailed {
		update.Errors = []eks.Issue{{Code: "PodEvictionFailure", Message: "Reached max retries."}}
	}
	return update
}

func degraded(o *observation) *observation {
	o.group.Status = eks.StatusDegraded
	return o
}

// outcome is what a plan comes to, for comparison.
type outcome struct {
	InPlace, Problem, Busy, Failure, TakenBackBy string
	// To is the version that is asked for; 0 for none, -1 for one that is made before.
	To                int64
	Working, Proven   bool
	Current, Outdated int
	Staying           int
}

func outcomeOf(plan binding.Plan) outcome {
	reason := func(problem *binding.Problem) string {
		if problem == nil {
			return ""
		}
		return problem.Reason
	}
	is := outcome{
		InPlace: plan.InPlace, Problem: reason(plan.Problem), Busy: reason(plan.Busy), Failure: reason(plan.Health.Failure), TakenBackBy: plan.TakenBackBy,
		Working: plan.Progress != "", Proven: plan.Health.Proven,
	}
	for _, pool := range plan.Pools {
		is.Current, is.Outdated, is.Staying = is.Current+pool.Current, is.Outdated+pool.Outdated, is.Staying+pool.Staying
	}
	if w, ok := plan.Write.(*update); ok {
		if is.To = w.step.Number; w.step.Publish != nil {
			is.To = -1
		}
	}
	return is
}

func TestPlan(t *testing.T) {
	cases := map[string]struct {
		reason  string
		group   *observation
		binding *v1alpha1.NodeClassBinding
		wanted  string
		want    outcome
	}{
		"the first": {
			reason: "a group on a person's version goes to a new one",
			group:  groupOn(t, 1), binding: bound(""), wanted: "snap-0000000000000000c",
			want: outcome{To: -1, Outdated: 3, Staying: 3},
		},
		"published, not asked for": {
			reason: "an operator that ended in between goes on with the version that it published",
			group:  groupOn(t, 2), binding: bound(good), wanted: newer,
			want: outcome{InPlace: good, To: 3, Current: 3, Staying: 3, Proven: true},
		},
		"as it should be": {
			reason: "nothing is written to a group that is on the version",
			group:  groupOn(t, 3, asked(3, eks.UpdateSuccessful, 0)), binding: bound(newer), wanted: newer,
			want: outcome{InPlace: newer, Current: 3, Proven: true},
		},
		"on its way": {
			reason: "an update of ours is not asked for again, and no node counts until it is done",
			group:  groupOn(t, 2, asked(3, eks.UpdateInProgress, 0)), binding: bound(newer), wanted: newer,
			want: outcome{InPlace: newer, Busy: "UpdateInProgress", Working: true, Outdated: 3},
		},
		"a newer one while one is on its way": {
			reason: "EKS takes one update at a time",
			group:  groupOn(t, 2, asked(3, eks.UpdateInProgress, 0)), binding: bound(newer), wanted: "snap-0000000000000000c",
			want: outcome{InPlace: newer, Busy: "UpdateInProgress", Working: true, To: -1, Outdated: 3, Staying: 3},
		},
		"asked for, and the operator does not know": {
			reason: "an update is found by what it goes to, not by what is remembered",
			group:  groupOn(t, 2, asked(3, eks.UpdateInProgress, time.Minute)), binding: bound(good), wanted: newer,
			want: outcome{InPlace: newer, Busy: "UpdateInProgress", Working: true, Outdated: 3},
		},
		"failed": {
			reason: "the snapshot that was asked for failed, and another attempt is for others to decide",
			group:  groupOn(t, 2, asked(3, eks.UpdateFailed, time.Second)), binding: bound(newer), wanted: newer,
			want: outcome{InPlace: newer, Failure: "UpdateFailed", To: 3, Outdated: 3, Staying: 3},
		},
		"failed, by another clock": {
			reason: "AWS's clock is behind, and what failed is what was applied all the same",
			group:  groupOn(t, 2, asked(3, eks.UpdateFailed, -time.Hour)), binding: bound(newer), wanted: newer,
			want: outcome{InPlace: newer, Failure: "UpdateFailed", To: 3, Outdated: 3, Staying: 3},
		},
		"failed, and back": {
			reason: "what failed before the good one was applied again does not count any more",
			group:  groupOn(t, 2, asked(3, eks.UpdateFailed, -20*time.Minute)), binding: bound(good), wanted: good,
			want: outcome{InPlace: good, Current: 3, Proven: true},
		},
		"cancelled": {
			reason: "an update that a person cancelled did not bring the snapshot either",
			group:  groupOn(t, 2, asked(3, eks.UpdateCancelled, time.Second)), binding: bound(newer), wanted: newer,
			want: outcome{InPlace: newer, Failure: "UpdateFailed", To: 3, Outdated: 3, Staying: 3},
		},
		"failed, and something newer was asked for": {
			reason:  "after a later update of others what failed is history",
			group:   groupOn(t, 1, asked(3, eks.UpdateFailed, time.Second), asked(1, eks.UpdateSuccessful, time.Minute)),
			binding: bound(newer), wanted: newer,
			want: outcome{To: -1, Outdated: 3, Staying: 3, TakenBackBy: "arn:aws:iam::111122223333:role/terraform"},
		},
		"others at work": {
			reason: "nothing is written while EKS does what somebody else asked for",
			group:  groupOn(t, 2, eks.Update{ID: "u-9", Type: "ConfigUpdate", Status: eks.UpdateInProgress, CreateTime: now}), binding: bound(good), wanted: newer,
			want: outcome{InPlace: good, Busy: "UpdateInProgress", To: 3, Outdated: 3, Staying: 3},
		},
		"gone back to an older version of ours": {
			reason: "Larder never asks for an older version, so somebody else did",
			group:  groupOn(t, 2, asked(3, eks.UpdateSuccessful, 0), asked(2, eks.UpdateSuccessful, time.Minute)), binding: bound(newer), wanted: newer,
			want: outcome{InPlace: good, To: 3, Outdated: 3, Staying: 3, TakenBackBy: "another user of AWS"},
		},
		"degraded on trial": {
			reason: "a group that falls ill with a snapshot on trial is that snapshot's failure",
			group:  degraded(groupOn(t, 3)), binding: bound(newer), wanted: newer,
			want: outcome{InPlace: newer, Failure: "TargetDegraded", Current: 3},
		},
		"degraded with a proven one": {
			reason: "a group that falls ill later is not written to",
			group:  degraded(groupOn(t, 2)), binding: bound(good), wanted: newer,
			want: outcome{InPlace: good, Problem: "TargetDegraded", Failure: "TargetDegraded", Current: 3},
		},
		"no snapshot": {
			reason: "without one the group is only looked at",
			group:  groupOn(t, 2), binding: bound(good),
			want: outcome{InPlace: good, Current: 3, Proven: true},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan := c.group.Plan(c.binding, binding.Snapshot{ID: c.wanted, SizeGiB: 40}, now)
			if diff := cmp.Diff(c.want, outcomeOf(plan)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestPlanEnd(t *testing.T) {
	leave := bound(newer)
	leave.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
	cases := map[string]struct {
		reason  string
		group   *observation
		binding *v1alpha1.NodeClassBinding
		want    outcome
	}{
		"restored by a new version": {
			reason: "the version before may not be gone back to",
			group:  groupOn(t, 3), binding: bound(newer),
			want: outcome{InPlace: newer, To: -1, Current: 3, Staying: 3},
		},
		"left": {
			reason: "the policy Leave replaces no node",
			group:  groupOn(t, 3), binding: leave, want: outcome{InPlace: newer, Current: 3},
		},
		"a person's version": {
			reason: "what somebody else wrote since is theirs",
			group:  groupOn(t, 1), binding: bound(newer), want: outcome{Outdated: 3},
		},
		"on its way": {
			reason: "the restoration waits until EKS is done with what it was asked for before",
			group:  groupOn(t, 2, asked(3, eks.UpdateInProgress, 0)), binding: bound(newer),
			want: outcome{InPlace: newer, Busy: "UpdateInProgress", Working: true, To: -1, Outdated: 3, Staying: 3},
		},
		"gone": {
			reason: "of a group that is gone nothing can be restored",
			group:  &observation{problem: &binding.Problem{Reason: v1alpha1.ReasonTargetMissing}}, binding: bound(newer),
		},
		"unreadable": {
			reason: "nobody knows whether something is to be restored",
			group:  &observation{problem: &binding.Problem{Reason: v1alpha1.ReasonTargetUnreadable}}, binding: bound(newer),
			want: outcome{Problem: "TargetUnreadable"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			is := outcomeOf(c.group.PlanEnd(c.binding, now))
			is.Failure, is.Proven = "", false
			if diff := cmp.Diff(c.want, is); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestPlanWithoutIsNotTriedTwiceUnseen(t *testing.T) {
	o := groupOn(t, 3)
	b := bound("")
	b.Status.AppliedTime, b.Status.RejectedSnapshotID = &metav1.Time{Time: written}, newer
	first := o.PlanWithout(b, now)
	step := first.Write.(*update).step
	o.history.Versions = append(o.history.Versions, launch.Version{TemplateID: "lt-1", Number: 4, Description: step.Publish.Description, Devices: step.Publish.Devices})
	o.updates = []eks.Update{asked(4, eks.UpdateFailed, time.Second)}
	want := outcome{Failure: "UpdateFailed", To: 4, Outdated: 3, Staying: 3}
	if diff := cmp.Diff(want, outcomeOf(o.PlanWithout(b, now))); diff != "" {
		t.Errorf("what failed is the former state, and the health says so (-want +got):\n%s", diff)
	}
}

func TestRecreatedGroup(t *testing.T) {
	o := groupOn(t, 1)
	o.group.CreateTime = written.Add(time.Minute)
	plan := o.Plan(bound(good), binding.Snapshot{ID: good, SizeGiB: 40}, now)
	if !plan.Recreated || plan.TakenBackBy != "" || plan.Write == nil {
		t.Errorf("a group that was made anew was taken back by nobody: %+v", plan)
	}
}

func TestMessagesFit(t *testing.T) {
	long := strings.Repeat("a very long word of EKS ", 100)
	var issues []eks.Issue
	for range 10 {
		issues = append(issues, eks.Issue{Code: "PodEvictionFailure", Message: long, ResourceIDs: []string{"i-1", "i-2"}})
	}
	o := groupOn(t, 2)
	if got := o.failure(&eks.Update{ID: "u-1", Status: eks.UpdateFailed, TemplateVersion: 3, Errors: issues}); len(got) > 1024 || !strings.HasSuffix(got, "target.managedNodeGroup.force") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// TestToken has each try be another, and nothing else.
func TestToken(t *testing.T) {
	w := func(change func(*update)) string {
		one := &update{group: groupOn(t, 2).group, binding: bound("").UID, tries: map[int64]int{}}
		change(one)
		return one.token(3)
	}
	first := w(func(*update) {})
	if first != w(func(u *update) { u.tries[2] = 4 }) || len(first) > 64 {
		t.Errorf("%s is another when nothing of version 3 is", first)
	}
	for name, change := range map[string]func(*update){
		"a second try":    func(u *update) { u.tries[3] = 1 },
		"another group":   func(u *update) { u.group.Name = "db" },
		"another binding": func(u *update) { u.binding = "other" },
		"forced":          func(u *update) { u.force = true },
		"another AMI":     func(u *update) { u.group.ReleaseVersion = "1.50.0-1" },
	} {
		if first == w(change) {
			t.Errorf("%s has the same token: EKS would answer as before, or refuse it", name)
		}
	}
}
