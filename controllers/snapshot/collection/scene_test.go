package collection

import (
	"maps"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	cluster = "0c11c11c-0000-4000-8000-000000000001"
	livesAs = types.UID("0b1ec70b-0000-4000-8000-000000000001")
	goneUID = types.UID("0b1ec70b-0000-4000-8000-000000000002")
	home    = "eu-central-1"
	away    = "us-west-2"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(past time.Duration) string { return mark(noon.Add(-past)) }

// copiedTo has the Regions between plus signs.
func copiedTo(tags map[string]string) []string {
	if tags[ebs.TagCopiedTo] == "" {
		return nil
	}
	return strings.Split(tags[ebs.TagCopiedTo], "+")
}

// made is a completed snapshot of a revision, as Larder tags it, with pairs of further tags.
func made(id string, object types.UID, revision int64, pairs ...string) ebs.Snapshot {
	snapshot := ebs.Snapshot{
		ID: id, State: ebs.StateCompleted, StartTime: noon.Add(time.Duration(revision-1000) * time.Hour),
		Tags: map[string]string{
			ebs.TagClusterUID: cluster, ebs.TagObjectUID: string(object), ebs.TagRevision: strconv.FormatInt(revision, 10),
			ebs.TagAttempt: "1", ebs.TagContentHash: "hash", ebs.TagObjectName: "inference",
		},
	}
	for i := 0; i < len(pairs); i += 2 {
		snapshot.Tags[pairs[i]] = pairs[i+1]
	}
	return snapshot
}

// without is a snapshot that lost a tag.
func without(snapshot ebs.Snapshot, key string) ebs.Snapshot {
	snapshot.Tags = maps.Clone(snapshot.Tags)
	delete(snapshot.Tags, key)
	return snapshot
}

func inState(snapshot ebs.Snapshot, state string) ebs.Snapshot {
	snapshot.State = state
	return snapshot
}

func startedAt(snapshot ebs.Snapshot, at time.Time) ebs.Snapshot {
	snapshot.StartTime = at
	return snapshot
}

// object has revisions from the newest to 1, whose snapshots are snap-N; each but the newest was superseded an hour
// ago.
func object(newest int64, changes ...func(*larderv1alpha1.ImageCacheSnapshot)) *larderv1alpha1.ImageCacheSnapshot {
	o := &larderv1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "inference", UID: livesAs}}
	superseded := metav1.NewTime(noon.Add(-time.Hour))
	for number := newest; number > 0; number-- {
		line := larderv1alpha1.RevisionStatus{Number: number, SnapshotID: "snap-" + strconv.FormatInt(number, 10), State: larderv1alpha1.RevisionSuperseded}
		if number == newest {
			line.State = larderv1alpha1.RevisionCurrent
			o.Status.SnapshotID, o.Status.Revision = line.SnapshotID, number
		} else {
			line.SupersededTime = superseded.DeepCopy()
		}
		o.Status.Revisions = append(o.Status.Revisions, line)
	}
	for _, change := range changes {
		change(o)
	}
	return o
}

func limit(revisions int32) func(*larderv1alpha1.ImageCacheSnapshot) {
	return func(o *larderv1alpha1.ImageCacheSnapshot) { o.Spec.RevisionHistoryLimit = &revisions }
}

func pin(revision int64) func(*larderv1alpha1.ImageCacheSnapshot) {
	return func(o *larderv1alpha1.ImageCacheSnapshot) { o.Spec.Revision = &revision }
}

func suspended(o *larderv1alpha1.ImageCacheSnapshot) { o.Spec.Suspend = true }

func copying(o *larderv1alpha1.ImageCacheSnapshot) {
	o.Spec.Copies = []larderv1alpha1.RegionalCopy{{Region: away}}
}

// current makes another revision the current one.
func current(revision int64) func(*larderv1alpha1.ImageCacheSnapshot) {
	return func(o *larderv1alpha1.ImageCacheSnapshot) {
		o.Status.Revision, o.Status.SnapshotID = revision, "snap-"+strconv.FormatInt(revision, 10)
	}
}

// supersededTime is when a revision was superseded by the status; nil for unknown.
func supersededTime(revision int64, past time.Duration) func(*larderv1alpha1.ImageCacheSnapshot) {
	return func(o *larderv1alpha1.ImageCacheSnapshot) {
		for i := range o.Status.Revisions {
			if o.Status.Revisions[i].Number == revision {
				at := metav1.NewTime(noon.Add(-past))
				o.Status.Revisions[i].SupersededTime = &at
			}
		}
	}
}

// revisions are the home snapshots of the living object, from 1 to the newest.
func revisions(newest int64) []ebs.Snapshot {
	var all []ebs.Snapshot
	for number := int64(1); number <= newest; number++ {
		all = append(all, made("snap-"+strconv.FormatInt(number, 10), livesAs, number))
	}
	return all
}

// factsOf are facts at noon, with everything that is due looked up and used by nobody.
func factsOf(object *larderv1alpha1.ImageCacheSnapshot, atHome []ebs.Snapshot, elsewhere ...ebs.Snapshot) *facts {
	f := &facts{
		now: noon, cluster: cluster, home: home, copiedTo: copiedTo,
		found:        map[string][]ebs.Snapshot{home: atHome, away: elsewhere},
		living:       map[types.UID]*larderv1alpha1.ImageCacheSnapshot{},
		looked:       map[string]lookUp{home: {}, away: {}},
		exposedGrace: DefaultExposedGrace, orphanGrace: DefaultOrphanGrace,
	}
	if object != nil {
		f.living[object.UID] = object
		f.named = namedBy([]larderv1alpha1.ImageCacheSnapshot{*object})
	}
	return f
}
