package distribution

import (
	"strings"
	"testing"
	"time"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// restored are the zones of a snapshot in which AWS bills fast snapshot restore.
func (w *world) restored(s *cloudSnapshot) string {
	var zones []string
	for _, zone := range []string{"a", "b", "c"} {
		if _, ever := s.restores[zone]; !ever {
			continue
		}
		if state := w.cloud.restoreState(s, zone); state != ebs.FastRestoreDisabled {
			zones = append(zones, zone+" "+state)
		}
	}
	return strings.Join(zones, ", ")
}

func TestFastRestoreMovesToTheNewRevision(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{FastSnapshotRestore: restoresIn("a", "b")})
	w.cloud.check = func(_, call string, details ...string) {
		if call == "EnableFastRestore" && !strings.Contains(strings.Join(zonesOf(w.object()), " "), details[1]) {
			t.Errorf("zone %s costs money while the written status does not name it", details[1])
		}
	}
	w.settle()
	if got := w.restored(w.current); got != "a enabled, b enabled" {
		t.Errorf("enabled in %q", got)
	}
	w.build(2)
	for w.restored(w.current) != "a enabled, b enabled" {
		w.mustPass()
		if got := w.restored(w.superseded[0]); got != "a enabled, b enabled" {
			t.Fatalf("the superseded revision has %q while the current one has %q", got, w.restored(w.current))
		}
		w.wait(time.Minute)
	}
	w.settle()
	w.wait(w.cloud.step)
	if got := w.restored(w.superseded[0]); got != "" {
		t.Errorf("the superseded revision is still paid for: %q", got)
	}
	w.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.FastSnapshotRestore = nil })
	object := w.settle()
	if got := w.restored(w.current); got != "" || len(object.Status.FastSnapshotRestore) > 0 {
		t.Errorf("nobody wants it, AWS has %q and the status %v", got, object.Status.FastSnapshotRestore)
	}
	w.cloud.forgetCalls()
	w.mustPass()
	if got := w.cloud.reads["FastRestores"]; got != 0 {
		t.Errorf("AWS is still asked though nothing can be there: %d", got)
	}
}

func zonesOf(object *larderv1alpha1.ImageCacheSnapshot) []string {
	var zones []string
	for _, one := range object.Status.FastSnapshotRestore {
		zones = append(zones, one.AvailabilityZone)
	}
	return zones
}

func TestFastRestoreTellsStatePriceAndTrouble(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{FastSnapshotRestore: restoresIn("a", "b")})
	w.current.VolumeSize = 512
	w.cloud.refused["b"] = true
	for range 15 {
		w.mustPass()
		w.wait(time.Minute)
	}
	condition := w.condition(larderv1alpha1.ConditionFastSnapshotRestoreReady)
	for _, part := range []string{
		"in zone b", "quota", "FastSnapshotRestoreLimitExceeded", "a enabled", "b disabled",
		"$0.75 an hour for each zone, $1.50 in all", "begin at zero", "2 volumes an hour", "512 GiB",
	} {
		if !strings.Contains(condition.Message, part) {
			t.Errorf("the condition lacks %q: %s", part, condition.Message)
		}
	}
	if len(w.outcome.Problems) != 1 || !w.outcome.Problems[0].NeedsPerson {
		t.Errorf("the problems are %+v", w.outcome.Problems)
	}
}
