package ec2nodeclass

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// inPlace has the class as it is once the write is made.
func inPlace(t *testing.T, class *unstructured.Unstructured, planned binding.Write) *unstructured.Unstructured {
	t.Helper()
	w, ok := planned.(*write)
	if !ok {
		t.Fatal("nothing to write")
	}
	class = class.DeepCopy()
	if !w.keepsDevices {
		delete(specOf(class), "blockDeviceMappings")
		if len(w.devices) > 0 {
			specOf(class)["blockDeviceMappings"] = w.devices
		}
	}
	annotations, err := w.record.annotations()
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]string{}
	for name, value := range annotations {
		if text, ok := value.(string); ok {
			left[name] = text
		}
	}
	class.SetAnnotations(left)
	return class
}

// A binding that goes on without a snapshot leaves the class as one that ends does, may write it again, and then ends as if
// nothing had been in between.
func TestWithoutASnapshotAndOn(t *testing.T) {
	cases := map[string]struct {
		reason string
		class  *unstructured.Unstructured
	}{
		"a device that was there":     {"its own fields come back", bottlerocket(rootVolume, entry(dataDevice, mapping{"volumeSize": "30Gi", "futureField": "kept"}))},
		"a device that was not there": {"it goes", bottlerocket(rootVolume)},
		"no list":                     {"Karpenter's defaults hold again", bottlerocket()},
		"a snapshot of the user's own": {"it comes back, and its rate with it", bottlerocket(rootVolume, entry(dataDevice, mapping{
			"volumeSize": "30Gi", "snapshotID": "snap-theirs", "volumeInitializationRate": int64(100)}))},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := bindingWith(v1alpha1.Device{VolumeInitializationRate: number(200)})
			class := tc.class
			for _, snapshot := range []binding.Snapshot{stored, staged} {
				class = inPlace(t, class, (&observation{class: class}).Plan(b, snapshot, time.Now()).Write)
				if got := snapshotOf(find(devicesOf(class), dataDevice)); got != snapshot.ID {
					t.Fatalf("the class names %q, want %s", got, snapshot.ID)
				}
				plan := (&observation{class: class}).PlanWithout(b, time.Now())
				if plan.Write.(*write).releases {
					t.Errorf("%s: the binding goes on, and gives its fields up", tc.reason)
				}
				class = inPlace(t, class, plan.Write)
				if diff := cmp.Diff(specOf(tc.class), specOf(class)); diff != "" {
					t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
				}
				if plan := (&observation{class: class}).PlanWithout(b, time.Now()); plan.Write != nil || plan.Problem != nil {
					t.Errorf("without a snapshot already, and yet: %+v", plan)
				}
			}
			class = inPlace(t, class, (&observation{class: class}).Plan(b, stored, time.Now()).Write)
			class = inPlace(t, class, (&observation{class: class}).PlanEnd(b, time.Now()).Write)
			if diff := cmp.Diff(specOf(tc.class), specOf(class)); diff != "" {
				t.Errorf("the end: %s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// One binding that leaves its device does not let go of another's.
func TestLeaveWithAnotherBindingOnTheClass(t *testing.T) {
	first, second := bindingWith(v1alpha1.Device{}), bindingWith(v1alpha1.Device{Name: "/dev/xvdc"})
	first.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
	original := bottlerocket(rootVolume)
	if err := unstructured.SetNestedField(original.Object, "Custom", "spec", "amiFamily"); err != nil { // of two data devices
		t.Fatal(err)
	}
	class := inPlace(t, original, (&observation{class: original}).Plan(first, stored, time.Now()).Write)
	class = inPlace(t, class, (&observation{class: class}).Plan(second, stored, time.Now()).Write)
	written := devicesOf(class)

	plan := (&observation{class: class, fleet: usedBy(class, []string{"a"}, 1)}).PlanEnd(first, time.Now())
	if w := plan.Write.(*write); w.releases || !w.keepsDevices || len(plan.Pools) > 0 {
		t.Errorf("planned %+v over %v, want the devices kept, no node replaced, and the other binding's fields still Larder's", w, plan.Pools)
	}
	class = inPlace(t, class, plan.Write)
	if diff := cmp.Diff(written, devicesOf(class)); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	plan = (&observation{class: class}).PlanEnd(second, time.Now())
	if !plan.Write.(*write).releases {
		t.Error("the last binding keeps its fields")
	}
	class = inPlace(t, class, plan.Write)
	if diff := cmp.Diff([]any{written[0], written[1]}, devicesOf(class)); diff != "" {
		t.Errorf("what was left, and nothing of the second (-want +got):\n%s", diff)
	}
	if len(class.GetAnnotations()) > 0 {
		t.Errorf("annotations are left: %v", class.GetAnnotations())
	}
}

func TestARecreatedClassIsToldFromAReverted(t *testing.T) {
	applied := metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	cases := map[string]struct {
		reason  string
		created time.Duration
		never   bool
		want    bool
	}{
		"older than the write":    {"somebody changed it", -time.Hour, false, false},
		"made in the same second": {"times have no fractions, and it was there to be written", 0, false, false},
		"made since":              {"what was written went with the one before", time.Second, false, true},
		"never written":           {"nothing went with anything", time.Hour, true, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			class, b := bottlerocket(rootVolume), bindingWith(v1alpha1.Device{})
			class.SetCreationTimestamp(metav1.NewTime(applied.Add(tc.created)))
			if !tc.never {
				b.Status.AppliedTime = &applied
			}
			if got := (&observation{class: class}).Plan(b, stored, time.Now()).Recreated; got != tc.want {
				t.Errorf("%s: got %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}
