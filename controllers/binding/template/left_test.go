package template

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// TestWhatABindingLeftIsTakenOver has a binding go that leaves its device, and another come.
func TestWhatABindingLeftIsTakenOver(t *testing.T) {
	for name, tc := range map[string]struct {
		former []launch.Device
		next   binding.Snapshot
		copied bool
	}{
		"with another snapshot":           {[]launch.Device{root(), data(nil)}, binding.Snapshot{ID: "snap-2", SizeGiB: 8}, false},
		"with the same":                   {[]launch.Device{root(), data(nil)}, snapshot, false},
		"in a version that somebody made": {[]launch.Device{root(), data(nil)}, binding.Snapshot{ID: "snap-2", SizeGiB: 8}, true},
		"its only device":                 {nil, binding.Snapshot{ID: "snap-2", SizeGiB: 8}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(tc.former)
			theirs := s.want(1)
			theirs.Binding = otherUID
			step, _ := s.Read().With(theirs, snapshot)
			number := s.publish(t, step)
			if tc.copied {
				number = s.add(launch.Version{ImageID: "ami-2", Devices: s.version(number).Devices})
			}
			want := s.want(number)
			want.Was = "2"
			step, problem := s.Read().With(want, tc.next)
			if problem != nil {
				t.Fatal(problem)
			}
			number = s.publish(t, step)
			h := s.Read()
			if origin, found := h.Origin(uid, dataDevice, number); !tc.copied && (!found || origin.Number != 1 || h.WasCalled(uid, dataDevice, number) != Latest) {
				t.Errorf("its origin is version %d, called %q", origin.Number, h.WasCalled(uid, dataDevice, number))
			}
			end := s.want(number)
			end.MayName = []string{tc.next.ID}
			step, problem = h.Without(end)
			if problem != nil {
				t.Fatal(problem)
			}
			if diff := cmp.Diff(tc.former, s.version(s.publish(t, step)).Devices); diff != "" {
				t.Errorf("given back is what was there before the first of them (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatIsLeft is what a binding did not make and yet answers for.
func TestWhatIsLeft(t *testing.T) {
	s := newShelf([]launch.Device{root()})
	theirs := s.want(1)
	theirs.Binding = otherUID
	step, _ := s.Read().With(theirs, snapshot)
	number := s.publish(t, step)
	b := &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{UID: uid}}
	if s.Read().IsLeftTo(b, dataDevice, number) {
		t.Error("it has applied nothing")
	}
	b.Status.AppliedSnapshotID = snapshot.ID
	if h := s.Read(); !h.IsLeftTo(b, dataDevice, number) || h.IsLeftTo(b, "/dev/xvdc", number) || h.IsLeftTo(b, dataDevice, 1) {
		t.Error("it has applied the snapshot of the version, to this device")
	}
	s.Bindings = map[types.UID]string{otherUID: "theirs"}
	if s.Read().IsLeftTo(b, dataDevice, number) {
		t.Error("the other binding is still there")
	}
	if origin, _ := s.Read().Origin(uid, dataDevice, number); origin.Number != number {
		t.Errorf("the origin of another binding's version is %d, want itself", origin.Number)
	}
}
