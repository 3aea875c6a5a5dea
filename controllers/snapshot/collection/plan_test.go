package collection

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// list is home snapshots of revision 1 of an object that is gone, unless said otherwise.
func list(snapshots ...ebs.Snapshot) []ebs.Snapshot { return snapshots }

const (
	hour = time.Hour
	days = 24 * time.Hour
)

// planCase is a scene and what is to become of each snapshot; one that is no snapshot of Larder's is not in want.
type planCase struct {
	reason string
	facts  *facts
	want   map[string]action
	// tags are those to be written, by snapshot.
	tags map[string]map[string]string
}

func (c planCase) check(t *testing.T) {
	t.Helper()
	got, tags := map[string]action{}, map[string]map[string]string{}
	for _, v := range plan(c.facts).verdicts {
		got[v.ID] = v.do
		if len(v.tags) > 0 {
			tags[v.ID] = v.tags
		}
		if (v.cause == "") != (v.do == doKeep) || v.why == "" {
			t.Errorf("%s: %s is to %s for cause %q: %q", c.reason, v.ID, v.do, v.cause, v.why)
		}
	}
	if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", c.reason, diff)
	}
	if diff := cmp.Diff(c.tags, tags, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: tags (-want +got):\n%s", c.reason, diff)
	}
}

func TestHistory(t *testing.T) {
	orphanTag := made("snap-2", livesAs, 2, tagOrphanedAt, ago(hour), ebs.TagSupersededAt, ago(hour))
	cases := map[string]planCase{
		"within the limit": {
			reason: "three are kept by default",
			facts:  factsOf(object(3), revisions(3)),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-3": doKeep},
		},
		"beyond the limit": {
			reason: "the oldest go",
			facts:  factsOf(object(5), revisions(5)),
			want:   map[string]action{"snap-1": doDelete, "snap-2": doDelete, "snap-3": doKeep, "snap-4": doKeep, "snap-5": doKeep},
		},
		"a limit of one": {
			reason: "only the current one is kept",
			facts:  factsOf(object(2, limit(1)), revisions(2)),
			want:   map[string]action{"snap-1": doDelete, "snap-2": doKeep},
		},
		"just superseded": {
			reason: "a binding may be about to write what it has read",
			facts:  factsOf(object(2, limit(1), supersededTime(1, quiet-time.Second)), revisions(2)),
			want:   map[string]action{"snap-1": doWait, "snap-2": doKeep},
		},
		"superseded nobody knows when": {
			reason: "the clock starts now",
			facts:  factsOf(object(2, limit(1), func(o *larderv1alpha1.ImageCacheSnapshot) { o.Status.Revisions[1].SupersededTime = nil }), revisions(2)),
			want:   map[string]action{"snap-1": doWait, "snap-2": doKeep},
			tags:   map[string]map[string]string{"snap-1": {ebs.TagSupersededAt: ago(0)}},
		},
		"rolled back": {
			reason: "the current one counts, however old it is, and then the newest",
			facts:  factsOf(object(5, limit(2), current(2), pin(2)), revisions(5)),
			want:   map[string]action{"snap-1": doDelete, "snap-2": doKeep, "snap-3": doDelete, "snap-4": doDelete, "snap-5": doWait},
		},
		"pinned, not yet current": {
			reason: "it is about to be the current one, beside as many as the limit says",
			facts:  factsOf(object(5, limit(2), pin(1)), revisions(5)),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doDelete, "snap-3": doDelete, "snap-4": doKeep, "snap-5": doKeep},
		},
		"suspended": {
			reason: "what there is stays as it is",
			facts:  factsOf(object(3, limit(1), suspended), revisions(3)),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-3": doKeep},
		},
		"being deleted": {
			reason: "it lives until its finalizer lets it go",
			facts: factsOf(object(2, limit(1), func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.DeletionTimestamp = new(metav1.NewTime(noon))
			}), revisions(2)),
			want: map[string]action{"snap-1": doDelete, "snap-2": doKeep},
		},
		"in the making": {
			reason: "a revision above all of the status is its controller's",
			facts:  factsOf(object(2, limit(2)), append(revisions(3), inState(made("snap-9", livesAs, 4), ebs.StatePending))),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-3": doKeep, "snap-9": doKeep},
		},
		"half-written": {
			reason: "pending and failed ones of a living object are its controller's, whatever their number",
			facts: factsOf(object(3, limit(1)), list(
				inState(made("snap-1", livesAs, 1), ebs.StatePending), inState(made("snap-2", livesAs, 2), ebs.StateError), made("snap-3", livesAs, 3))),
			want: map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-3": doKeep},
		},
		"being built": {
			reason: "never, though its number were known",
			facts: factsOf(object(3, limit(1), func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.Status.Build = &larderv1alpha1.BuildStatus{Step: larderv1alpha1.BuildCompleting, SnapshotID: "snap-2"}
			}), revisions(3)),
			want: map[string]action{"snap-1": doDelete, "snap-2": doKeep, "snap-3": doKeep},
		},
		"another snapshot of a revision": {
			reason: "two attempts at one revision are its controller's",
			facts:  factsOf(object(3, limit(1)), append(revisions(3), made("snap-9", livesAs, 1, ebs.TagAttempt, "2"))),
			want:   map[string]action{"snap-1": doDelete, "snap-2": doDelete, "snap-3": doKeep, "snap-9": doKeep},
		},
		"not in the status": {
			reason: "a revision that the status has forgotten is one nevertheless",
			facts: factsOf(object(4, limit(2), func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.Status.Revisions = o.Status.Revisions[:2]
			}), list(made("snap-1", livesAs, 1, ebs.TagSupersededAt, ago(hour)), made("snap-3", livesAs, 3), made("snap-4", livesAs, 4))),
			want: map[string]action{"snap-1": doDelete, "snap-3": doKeep, "snap-4": doKeep},
		},
		"an empty status": {
			reason: "nothing is known of any revision until its controller has found them again",
			facts:  factsOf(object(0, limit(1)), revisions(3)),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-3": doKeep},
		},
		"the current one is lost": {
			reason: "what is left counts",
			facts: factsOf(object(4, limit(1), func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.Status.SnapshotID = ""
			}), revisions(3)),
			want: map[string]action{"snap-1": doDelete, "snap-2": doDelete, "snap-3": doKeep},
		},
		"archived": {
			reason: "a person is at work",
			facts:  factsOf(object(2, limit(1)), list(inState(made("snap-1", livesAs, 1), "recoverable"), made("snap-2", livesAs, 2))),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep},
		},
		"retained by hand": {
			reason: "a person may put the tag on anything",
			facts:  factsOf(object(2, limit(1)), list(made("snap-1", livesAs, 1, ebs.TagRetained, ""), made("snap-2", livesAs, 2))),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep},
		},
		"current again": {
			reason: "what was superseded, and orphaned by a mistake, is neither now",
			facts:  factsOf(object(2), list(orphanTag)),
			want:   map[string]action{"snap-2": doKeep},
			tags:   map[string]map[string]string{"snap-2": {ebs.TagSupersededAt: "", tagOrphanedAt: ""}},
		},
	}
	// Revision 5 was the current one until the pin: the status does not say when that ended.
	cases["rolled back"].facts.living[livesAs].Status.Revisions[0].SupersededTime = new(metav1.NewTime(noon))
	cases["rolled back"].want["snap-5"] = doKeep
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.check(t) })
	}
}

func TestExposed(t *testing.T) {
	exposed := func(id string, revision int64, pairs ...string) ebs.Snapshot {
		return made(id, livesAs, revision, append([]string{ebs.TagExposed, "published"}, pairs...)...)
	}
	cases := map[string]planCase{
		"superseded": {
			reason: "the clock is put into the tag as soon as it runs, by the status's time",
			facts:  factsOf(object(2), list(exposed("snap-1", 1), exposed("snap-2", 2))),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep},
			tags:   map[string]map[string]string{"snap-1": {ebs.TagSupersededAt: ago(hour)}},
		},
		"beyond the limit, unmarked": {
			reason: "it is marked first, even if it was superseded long ago",
			facts:  factsOf(object(2, limit(1), supersededTime(1, 40*days)), list(exposed("snap-1", 1), exposed("snap-2", 2))),
			want:   map[string]action{"snap-1": doWait, "snap-2": doKeep},
			tags:   map[string]map[string]string{"snap-1": {ebs.TagSupersededAt: ago(40 * days)}},
		},
		"a second before": {
			reason: "whoever has learnt of it has thirty days",
			facts: factsOf(object(2, limit(1), supersededTime(1, 30*days-time.Second)),
				list(exposed("snap-1", 1, ebs.TagSupersededAt, ago(30*days-time.Second)), exposed("snap-2", 2))),
			want: map[string]action{"snap-1": doWait, "snap-2": doKeep},
		},
		"to the second": {
			reason: "and no more",
			facts: factsOf(object(2, limit(1), supersededTime(1, 30*days)),
				list(exposed("snap-1", 1, ebs.TagSupersededAt, ago(30*days)), exposed("snap-2", 2))),
			want: map[string]action{"snap-1": doDelete, "snap-2": doKeep},
		},
		"superseded twice": {
			reason: "it was the current one again after its tag was written",
			facts: factsOf(object(2, limit(1), supersededTime(1, hour)),
				list(exposed("snap-1", 1, ebs.TagSupersededAt, ago(40*days)), exposed("snap-2", 2))),
			want: map[string]action{"snap-1": doWait, "snap-2": doKeep},
			tags: map[string]map[string]string{"snap-1": {ebs.TagSupersededAt: ago(hour)}},
		},
		"spoilt mark": {
			reason: "what a person wrote there is no time: the status's counts",
			facts: factsOf(object(2, limit(1), supersededTime(1, hour)),
				list(exposed("snap-1", 1, ebs.TagSupersededAt, "long ago"), exposed("snap-2", 2))),
			want: map[string]action{"snap-1": doWait, "snap-2": doKeep},
			tags: map[string]map[string]string{"snap-1": {ebs.TagSupersededAt: ago(hour)}},
		},
		"copied, though not said to be exposed": {
			reason: "a copy is exposure",
			facts:  factsOf(object(2, limit(1)), list(made("snap-1", livesAs, 1, ebs.TagCopiedTo, away), made("snap-2", livesAs, 2))),
			want:   map[string]action{"snap-1": doWait, "snap-2": doKeep},
			tags:   map[string]map[string]string{"snap-1": {ebs.TagSupersededAt: ago(hour)}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.check(t) })
	}
}

func TestOrphans(t *testing.T) {
	lone := func(pairs ...string) []ebs.Snapshot { return list(made("snap-1", goneUID, 1, pairs...)) }
	both := map[string]string{ebs.TagSupersededAt: ago(0), tagOrphanedAt: ago(0)}
	cases := map[string]planCase{
		"seen first": {
			reason: "the grace begins",
			facts:  factsOf(nil, lone()),
			want:   map[string]action{"snap-1": doWait},
			tags:   map[string]map[string]string{"snap-1": both},
		},
		"a second before": {
			reason: "a person may see by the events that something is wrong",
			facts:  factsOf(nil, lone(ebs.TagSupersededAt, ago(hour-time.Second), tagOrphanedAt, ago(hour-time.Second))),
			want:   map[string]action{"snap-1": doWait},
		},
		"to the second": {
			reason: "an hour is over",
			facts:  factsOf(nil, lone(ebs.TagSupersededAt, ago(hour), tagOrphanedAt, ago(hour))),
			want:   map[string]action{"snap-1": doDelete},
		},
		"half-written": {
			reason: "a crash leaves such, and a deleted object's controller does not look any more",
			facts: factsOf(nil, list(inState(lone(ebs.TagSupersededAt, ago(hour), tagOrphanedAt, ago(hour))[0], ebs.StatePending),
				inState(made("snap-2", goneUID, 1, ebs.TagAttempt, "2", ebs.TagSupersededAt, ago(hour), tagOrphanedAt, ago(hour)), ebs.StateError))),
			want: map[string]action{"snap-1": doDelete, "snap-2": doDelete},
		},
		"superseded in its object's life": {
			reason: "the grace of an orphan begins when the object is gone",
			facts:  factsOf(nil, lone(ebs.TagSupersededAt, ago(40*days))),
			want:   map[string]action{"snap-1": doWait},
			tags:   map[string]map[string]string{"snap-1": {tagOrphanedAt: ago(0)}},
		},
		"exposed": {
			reason: "others may still use it",
			facts:  factsOf(nil, lone(ebs.TagExposed, "shared", ebs.TagSupersededAt, ago(60*days), tagOrphanedAt, ago(30*days-time.Second))),
			want:   map[string]action{"snap-1": doWait},
		},
		"exposed long enough": {
			reason: "its object is gone for thirty days, and whenever it was superseded, that was before",
			facts:  factsOf(nil, lone(ebs.TagExposed, "shared", ebs.TagSupersededAt, ago(60*days), tagOrphanedAt, ago(30*days))),
			want:   map[string]action{"snap-1": doDelete},
		},
		"retained": {
			reason: "it was left to people",
			facts:  factsOf(nil, lone(ebs.TagRetained, ago(days), ebs.TagSupersededAt, ago(40*days), tagOrphanedAt, ago(40*days))),
			want:   map[string]action{"snap-1": doKeep},
		},
		"nobody has looked who uses it": {
			reason: "without knowing that, nothing is deleted",
			facts: func() *facts {
				f := factsOf(nil, lone(ebs.TagSupersededAt, ago(hour), tagOrphanedAt, ago(hour)))
				delete(f.looked, home)
				return f
			}(),
			want: map[string]action{"snap-1": doLookUp},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.check(t) })
	}
}

// TestLookAlikes is about what is none of Larder's business: it does not even get a verdict.
func TestLookAlikes(t *testing.T) {
	due := []string{ebs.TagSupersededAt, ago(2 * hour), tagOrphanedAt, ago(2 * hour)}
	one := func(pairs ...string) ebs.Snapshot { return made("snap-1", goneUID, 1, append(due, pairs...)...) }
	deleted := map[string]action{"snap-1": doDelete}
	cases := map[string]planCase{
		"ours":                     {reason: "this is how they would look if they were ours", facts: factsOf(nil, list(one())), want: deleted},
		"another cluster's":        {reason: "it has a Larder of its own", facts: factsOf(nil, list(one(ebs.TagClusterUID, string(goneUID))))},
		"no object":                {reason: "nothing says whose it was", facts: factsOf(nil, list(without(one(), ebs.TagObjectUID)))},
		"an object that is none":   {reason: "an API server gives no such UID", facts: factsOf(nil, list(one(ebs.TagObjectUID, "mine")))},
		"no revision":              {reason: "Larder writes one on each", facts: factsOf(nil, list(without(one(), ebs.TagRevision)))},
		"revision with a sign":     {reason: "Larder writes no sign", facts: factsOf(nil, list(one(ebs.TagRevision, "+1")))},
		"revision 0":               {reason: "they begin at 1", facts: factsOf(nil, list(one(ebs.TagRevision, "0")))},
		"no attempt":               {reason: "Larder writes one on each", facts: factsOf(nil, list(without(one(), ebs.TagAttempt)))},
		"an attempt that is none":  {reason: "a person wrote there", facts: factsOf(nil, list(one(ebs.TagAttempt, "first")))},
		"a source at home":         {reason: "Larder copies to other Regions only", facts: factsOf(nil, list(one(ebs.TagSourceID, "snap-0")))},
		"no source elsewhere":      {reason: "Larder builds at home only", facts: factsOf(nil, nil, one())},
		"an empty source":          {reason: "a copy has one", facts: factsOf(nil, nil, one(ebs.TagSourceID, ""))},
		"source not copied there":  {reason: "the home snapshot names the Regions before anything is copied", facts: factsOf(nil, list(made("snap-0", goneUID, 1, due...)), one(ebs.TagSourceID, "snap-0")), want: map[string]action{"snap-0": doDelete}},
		"source of another name":   {reason: "a copy carries its source's identity", facts: factsOf(object(1), list(made("snap-0", livesAs, 1)), one(ebs.TagSourceID, "snap-0")), want: map[string]action{"snap-0": doKeep}},
		"copied by a person":       {reason: "the first of several with one identity is ours", facts: factsOf(nil, list(one(), startedAt(made("snap-2", goneUID, 1, due...), noon))), want: deleted},
		"copied and ours deleted":  {reason: "ours had the same identity, and is gone", facts: spentBefore(factsOf(nil, list(one())))},
		"started at the same time": {reason: "nobody can tell which is ours", facts: factsOf(nil, list(one(), made("snap-2", goneUID, 1, due...)))},
		"older than ours": {
			reason: "what the status names is ours, whatever the clock says",
			facts:  factsOf(object(2, limit(1)), append(revisions(2), startedAt(made("snap-9", livesAs, 1), noon.Add(-9000*hour)))),
			want:   map[string]action{"snap-1": doDelete, "snap-2": doKeep},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.check(t) })
	}
}

func spentBefore(f *facts) *facts {
	f.ledger.spent = map[string]spent{"snap-0": {Region: home, Object: goneUID, Revision: 1, Attempt: 1}}
	return f
}

func TestCopies(t *testing.T) {
	copied := func(id string, revision int64, source string, pairs ...string) ebs.Snapshot {
		return made(id, livesAs, revision, append([]string{ebs.TagSourceID, source}, pairs...)...)
	}
	source := func(revision int64) ebs.Snapshot {
		snapshots := revisions(revision)
		snapshots[revision-1].Tags[ebs.TagCopiedTo] = away
		snapshots[revision-1].Tags[ebs.TagExposed] = "copied"
		snapshots[revision-1].Tags[ebs.TagSupersededAt] = ago(40 * days)
		return snapshots[revision-1]
	}
	now := source(2)
	delete(now.Tags, ebs.TagSupersededAt)
	longAgo := supersededTime(1, 40*days)
	cases := map[string]planCase{
		"of the current revision": {
			reason: "the object wants it",
			facts:  factsOf(object(2, copying, longAgo), list(source(1), now), copied("snap-c2", 2, "snap-2")),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-c2": doKeep},
		},
		"until the next is completed": {
			reason: "that Region has no better",
			facts:  factsOf(object(2, copying, longAgo), list(source(1), now), copied("snap-c1", 1, "snap-1"), inState(copied("snap-c2", 2, "snap-2"), ebs.StatePending)),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-c1": doKeep, "snap-c2": doKeep},
		},
		"replaced": {
			reason: "others may have learnt of it: it is marked now, not when its source was superseded",
			facts:  factsOf(object(2, copying, longAgo), list(source(1), now), copied("snap-c1", 1, "snap-1"), copied("snap-c2", 2, "snap-2")),
			want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-c1": doWait, "snap-c2": doKeep},
			tags:   map[string]map[string]string{"snap-c1": {ebs.TagSupersededAt: ago(0)}},
		},
		"replaced thirty days ago": {
			reason: "the grace is over",
			facts: factsOf(object(2, copying, longAgo), list(source(1), now),
				copied("snap-c1", 1, "snap-1", ebs.TagSupersededAt, ago(30*days)), copied("snap-c2", 2, "snap-2")),
			want: map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-c1": doDelete, "snap-c2": doKeep},
		},
		"wanted again": {
			reason: "the mark is of a time when it was not",
			facts:  factsOf(object(2, copying, longAgo), list(now), copied("snap-c2", 2, "snap-2", ebs.TagSupersededAt, ago(hour))),
			want:   map[string]action{"snap-2": doKeep, "snap-c2": doKeep},
			tags:   map[string]map[string]string{"snap-c2": {ebs.TagSupersededAt: ""}},
		},
		"no longer asked for": {
			reason: "the spec has no copies there",
			facts:  factsOf(object(2, longAgo), list(now), copied("snap-c2", 2, "snap-2", ebs.TagSupersededAt, ago(30*days-time.Second))),
			want:   map[string]action{"snap-2": doKeep, "snap-c2": doWait},
		},
		"suspended": {
			reason: "nothing of it is collected",
			facts:  factsOf(object(2, suspended), list(now), copied("snap-c2", 2, "snap-2", ebs.TagSupersededAt, ago(60*days))),
			want:   map[string]action{"snap-2": doKeep, "snap-c2": doKeep},
		},
		"the home snapshot goes last": {
			reason: "it says where the copies are",
			facts: factsOf(object(2, copying, limit(1), longAgo), list(source(1), now),
				copied("snap-c1", 1, "snap-1", ebs.TagSupersededAt, ago(30*days)), copied("snap-c2", 2, "snap-2")),
			want: map[string]action{"snap-1": doWait, "snap-2": doKeep, "snap-c1": doDelete, "snap-c2": doKeep},
		},
		"a Region that cannot be read": {
			reason: "there may be a copy",
			facts: func() *facts {
				f := factsOf(object(2, limit(1), longAgo), list(source(1), now))
				delete(f.found, away)
				return f
			}(),
			want: map[string]action{"snap-1": doWait, "snap-2": doKeep},
		},
		"the copies are gone": {
			reason: "then the home snapshot may go too",
			facts:  factsOf(object(2, limit(1), longAgo), list(source(1), now)),
			want:   map[string]action{"snap-1": doDelete, "snap-2": doKeep},
		},
		"a copy without its source": {
			reason: "a person deleted the home snapshot; the copy is ours nevertheless",
			facts:  factsOf(nil, nil, made("snap-c1", goneUID, 1, ebs.TagSourceID, "snap-1", ebs.TagSupersededAt, ago(30*days), tagOrphanedAt, ago(30*days))),
			want:   map[string]action{"snap-c1": doDelete},
		},
		"an orphan's": {
			reason: "a copy is always exposed",
			facts:  factsOf(nil, nil, made("snap-c1", goneUID, 1, ebs.TagSourceID, "snap-1", ebs.TagSupersededAt, ago(2*hour), tagOrphanedAt, ago(2*hour))),
			want:   map[string]action{"snap-c1": doWait},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.check(t) })
	}
}

func TestFastRestoresGoFirst(t *testing.T) {
	cases := map[string]struct {
		reason string
		states []string
		want   action
		zones  []string
	}{
		"none":         {reason: "nothing to turn off", want: doDelete},
		"off":          {reason: "AWS lists those that were on", states: []string{ebs.FastRestoreDisabled}, want: doDelete},
		"on":           {reason: "it is billed by the hour", states: []string{ebs.FastRestoreEnabled, ebs.FastRestoreDisabled}, want: doDisable, zones: []string{"a"}},
		"getting on":   {reason: "so is this", states: []string{ebs.FastRestoreEnabling, ebs.FastRestoreOptimizing}, want: doDisable, zones: []string{"a", "b"}},
		"getting off":  {reason: "it takes its time", states: []string{ebs.FastRestoreDisabling}, want: doWait},
		"on and going": {reason: "what is on is asked to go", states: []string{ebs.FastRestoreDisabling, ebs.FastRestoreEnabled}, want: doDisable, zones: []string{"b"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := factsOf(object(2, limit(1)), revisions(2))
			looked := lookUp{restores: []ebs.FastRestore{{SnapshotID: "snap-2", AvailabilityZone: "a", State: ebs.FastRestoreEnabled}}}
			for i, state := range c.states {
				looked.restores = append(looked.restores, ebs.FastRestore{SnapshotID: "snap-1", AvailabilityZone: string(rune('a' + i)), State: state})
			}
			f.looked[home] = looked
			v := plan(f).verdicts[0]
			if v.ID != "snap-1" || v.do != c.want {
				t.Errorf("%s: %s is to %s, want %s", c.reason, v.ID, v.do, c.want)
			}
			if diff := cmp.Diff(c.zones, v.zones); diff != "" {
				t.Errorf("%s: zones (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRetained(t *testing.T) {
	due := []string{ebs.TagSupersededAt, ago(40 * days), tagOrphanedAt, ago(40 * days)}
	recorded := func(past time.Duration, regions ...string) map[types.UID]retention {
		return map[types.UID]retention{goneUID: {Name: "inference", Time: metav1.NewTime(noon.Add(-past)), Regions: regions}}
	}
	tagged := append([]string{ebs.TagRetained, ago(hour)}, due...)
	cases := map[string]struct {
		planCase
		retained map[types.UID]retention
		unread   bool
		settled  map[string]any
	}{
		"not tagged yet": {
			retained: recorded(hour),
			planCase: planCase{
				reason: "the record holds what AWS does not show yet as retained",
				facts:  factsOf(nil, list(made("snap-1", goneUID, 1, due...)), made("snap-c1", goneUID, 1, append(due, ebs.TagSourceID, "snap-0")...)),
				want:   map[string]action{"snap-1": doKeep, "snap-c1": doKeep},
				tags:   map[string]map[string]string{"snap-1": {ebs.TagRetained: ago(hour)}, "snap-c1": {ebs.TagRetained: ago(hour)}},
			},
		},
		"all tagged": {
			retained: recorded(hour), settled: map[string]any{string(goneUID): nil},
			planCase: planCase{
				reason: "the tags say it from now on",
				facts:  factsOf(nil, list(made("snap-1", goneUID, 1, tagged...))),
				want:   map[string]action{"snap-1": doKeep},
			},
		},
		"all tagged, but too early": {
			retained: recorded(ebs.AppearsWithin),
			planCase: planCase{
				reason: "a snapshot may still appear",
				facts:  factsOf(nil, list(made("snap-1", goneUID, 1, tagged...))),
				want:   map[string]action{"snap-1": doKeep},
			},
		},
		"a Region that cannot be read": {
			retained: recorded(hour, away), unread: true,
			planCase: planCase{
				reason: "there may be copies without the tag",
				facts:  factsOf(nil, list(made("snap-1", goneUID, 1, tagged...))),
				want:   map[string]action{"snap-1": doKeep},
			},
		},
		"nothing left": {
			retained: recorded(hour), settled: map[string]any{string(goneUID): nil},
			planCase: planCase{reason: "there is nothing to tag", facts: factsOf(nil, nil)},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.facts.ledger.retained = c.retained
			if c.unread {
				delete(c.facts.found, away)
			}
			c.check(t)
			if diff := cmp.Diff(c.settled, plan(c.facts).ledger, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: settled (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestRetainedObjectThatStillLives(t *testing.T) {
	f := factsOf(object(3, limit(1)), revisions(3))
	f.ledger.retained = map[types.UID]retention{livesAs: {Time: metav1.NewTime(noon.Add(-hour))}}
	planCase{
		reason: "its finalizer was interrupted between the record and the release, or its user has changed their mind",
		facts:  f,
		want:   map[string]action{"snap-1": doKeep, "snap-2": doKeep, "snap-3": doKeep},
	}.check(t)
	if settled := plan(f).ledger; len(settled) > 0 {
		t.Errorf("the record is dropped while the object lives: %v", settled)
	}
}

func TestSpentIdentitiesAreForgottenWithTheirLikes(t *testing.T) {
	cases := map[string]struct {
		reason string
		facts  *facts
		past   time.Duration
		want   map[string]any
	}{
		"a likeness is there": {reason: "it could be taken for ours", facts: factsOf(nil, list(made("snap-1", goneUID, 1))), past: hour},
		"ours is there":       {reason: "its deletion did not happen yet", facts: factsOf(nil, list(made("snap-0", goneUID, 1))), past: hour},
		"none is there":       {reason: "nobody can be taken for ours", facts: factsOf(nil, nil), past: hour, want: map[string]any{"snap-0": nil}},
		"just noted":          {reason: "AWS may not list one for moments", facts: factsOf(nil, nil), past: time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			noted := spent{Region: home, Object: goneUID, Revision: 1, Attempt: 1, Time: metav1.NewTime(noon.Add(-c.past))}
			c.facts.ledger.spent = map[string]spent{"snap-0": noted}
			if diff := cmp.Diff(c.want, plan(c.facts).ledger, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestInterruptedDeletionGoesOn(t *testing.T) {
	f := factsOf(nil, list(due("snap-1", 1)))
	f.ledger.spent = map[string]spent{"snap-1": {Region: home, Object: goneUID, Revision: 1, Attempt: 1}}
	planCase{reason: "its identity was noted before the process ended", facts: f, want: map[string]action{"snap-1": doDelete}}.check(t)
}

func TestIdentityThatIsUsedAnew(t *testing.T) {
	home := made("snap-1", livesAs, 1, ebs.TagCopiedTo, away)
	again, persons := made("snap-c2", livesAs, 1, ebs.TagSourceID, "snap-1"), made("snap-c0", livesAs, 1, ebs.TagSourceID, "snap-1")
	f := factsOf(object(1, copying, func(o *larderv1alpha1.ImageCacheSnapshot) {
		o.Status.Copies = []larderv1alpha1.CopyStatus{{Region: away, Revision: 1, SnapshotID: "snap-c2"}}
	}), list(home), startedAt(persons, noon.Add(-hour)), startedAt(again, noon))
	f.ledger.spent = map[string]spent{"snap-c1": {Region: away, Object: livesAs, Revision: 1, Attempt: 1, Source: "snap-1"}}
	planCase{
		reason: "the revision was rolled back to after its first copy had gone; what the status does not name is a person's",
		facts:  f, want: map[string]action{"snap-1": doKeep, "snap-c2": doKeep},
	}.check(t)
	changed := plan(f).ledger
	if _, noted := changed["snap-c2"].(spent); !noted || len(changed) != 2 {
		t.Errorf("changes %v of the ledger, want the identity to be noted by its new snapshot in place of the old one", changed)
	}
}
