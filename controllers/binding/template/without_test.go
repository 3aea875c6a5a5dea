package template

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/launch"
)

func gib(text string) *resource.Quantity {
	parsed := resource.MustParse(text)
	return &parsed
}

func TestWithoutGivesBack(t *testing.T) {
	tests := map[string]struct {
		reason string
		own    []launch.Device
		mayBe  []string
		want   []launch.Device
	}{
		"its snapshot":      {"it was the owner's", []launch.Device{data(from("snap-theirs"))}, nil, []launch.Device{data(from("snap-theirs"))}},
		"Larder's snapshot": {"it will be deleted one day", []launch.Device{data(from("snap-old"))}, []string{"", "snap-old"}, []launch.Device{data(nil)}},
		"no size": {
			"EC2 makes no volume of neither a snapshot nor a size", []launch.Device{{Name: dataDevice, EBS: &launch.Volume{SnapshotID: "snap-old", InitializationRate: 200}}},
			[]string{"snap-old"}, []launch.Device{{Name: dataDevice, EBS: &launch.Volume{SizeGiB: 20}}},
		},
		"nothing but a type": {
			"the AMI has the rest, which is none of Larder's", []launch.Device{{Name: dataDevice, EBS: &launch.Volume{Type: "gp2"}}}, []string{""},
			[]launch.Device{{Name: dataDevice, EBS: &launch.Volume{Type: "gp2"}}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newShelf(tc.own)
			want := s.want(1)
			want.MayName = tc.mayBe
			step, problem := s.Read().With(want, snapshot)
			if problem != nil {
				t.Fatal(problem)
			}
			want = s.want(s.publish(t, step))
			step, problem = s.Read().Without(want)
			if problem != nil || step.Publish == nil {
				t.Fatalf("%+v, %v: an older version is not trusted", step, problem)
			}
			number := s.publish(t, step)
			if diff := cmp.Diff(tc.want, s.version(number).Devices); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if !s.Read().IsOurs(uid, number) {
				t.Errorf("%q", s.version(number).Description)
			}
			if again, problem := s.Read().Without(s.want(number)); problem != nil || again.Number != number {
				t.Errorf("once more: %+v, %v", again, problem)
			}
			if again, problem := s.Read().Without(want); problem != nil || again.Number != number {
				t.Errorf("before the consumer is told: %+v, %v", again, problem)
			}
		})
	}
}

func TestWithoutLeavesAloneWhatIsNotLarders(t *testing.T) {
	theirs := launch.Version{Devices: []launch.Device{root(), data(from("snap-theirs"))}}
	cases := map[string][]launch.Device{
		"another's snapshot": theirs.Devices,
		"no such device":     {root()},
		"instance store":     {{Name: dataDevice, VirtualName: "ephemeral0"}},
	}
	for name, devices := range cases {
		s := newShelf(devices)
		if step, problem := s.Read().Without(s.want(1)); problem != nil || step.Number != 1 {
			t.Errorf("%s: %+v, %v", name, step, problem)
		}
	}
	s := newShelf([]launch.Device{root()})
	want := s.want(1)
	want.Binding = otherUID
	step, _ := s.Read().With(want, snapshot)
	number := s.publish(t, step)
	if step, problem := s.Read().Without(s.want(number)); problem != nil || step.Number != number {
		t.Errorf("what a binding left that this one never took over: %+v, %v", step, problem)
	}
	s.Bindings = map[types.UID]string{otherUID: "theirs"}
	taken := s.want(number)
	taken.MayName = []string{snapshot.ID}
	if step, problem := s.Read().Without(taken); problem != nil || step.Number != number {
		t.Errorf("another binding's: %+v, %v", step, problem)
	}
}

// Whoever makes a version of one of Larder's takes its device over, with or without a change.
func TestACopyOfLardersVersionIsGivenBackToo(t *testing.T) {
	for name, tc := range map[string]struct {
		copied launch.Device
		want   []launch.Device
	}{
		"as it is":    {added("snap-1"), []launch.Device{root()}},
		"larger":      {data(func(disk *launch.Volume) { disk.SizeGiB, disk.SnapshotID = 90, "snap-1" }), []launch.Device{root(), data(func(disk *launch.Volume) { disk.SizeGiB = 90 })}},
		"with theirs": {data(from("snap-theirs")), []launch.Device{root(), data(from("snap-theirs"))}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf([]launch.Device{root()})
			step, _ := s.Read().With(s.want(1), snapshot)
			made := s.publish(t, step)
			number := s.add(launch.Version{ImageID: "ami-2", Devices: []launch.Device{root(), tc.copied}, Description: s.version(made).Description + " copy"})
			step, problem := s.Read().Without(s.want(number))
			if problem != nil {
				t.Fatal(problem)
			}
			got := s.version(s.publish(t, step))
			if diff := cmp.Diff(tc.want, got.Devices); diff != "" || got.ImageID != "ami-2" {
				t.Errorf("of %s (-want +got):\n%s", got.ImageID, diff)
			}
		})
	}
}

func TestDeletedVersions(t *testing.T) {
	deleted := func(numbers ...int64) (*shelf, int64) {
		s := newShelf([]launch.Device{root()}, []launch.Device{root(), data(nil)})
		step, _ := s.Read().With(s.want(2), snapshot)
		made := s.publish(t, step)
		if err := s.DeleteVersions(t.Context(), templateID, numbers); err != nil {
			t.Fatal(err)
		}
		return s, made
	}
	t.Run("the origin", func(t *testing.T) {
		s, made := deleted(2)
		if _, found := s.Read().Origin(uid, dataDevice, made); found {
			t.Error("the origin is found")
		}
		step, problem := s.Read().Without(s.want(made))
		if problem != nil {
			t.Fatal(problem)
		}
		if diff := cmp.Diff([]launch.Device{root(), data(nil)}, s.version(s.publish(t, step)).Devices); diff != "" {
			t.Errorf("what was before is not known without it (-want +got):\n%s", diff)
		}
	})
	t.Run("the consumer's", func(t *testing.T) {
		s, made := deleted(2)
		want := s.want(made)
		want.From = launch.Version{Number: 2}
		step, problem := s.Read().With(want, binding.Snapshot{ID: "snap-2"})
		if problem != nil || step.Publish.Source != made {
			t.Errorf("%+v, %v, want one made of Larder's own", step, problem)
		}
	})
	t.Run("all that are known", func(t *testing.T) {
		s, made := deleted(2, 3)
		want := s.want(1)
		want.From = launch.Version{Number: made}
		for what, plan := range map[string]func() (Step, *binding.Problem){
			"with": func() (Step, *binding.Problem) { return s.Read().With(want, snapshot) }, "without": func() (Step, *binding.Problem) { return s.Read().Without(want) },
		} {
			if step, problem := plan(); problem == nil || problem.Reason != v1alpha1.ReasonVersionNotFound {
				t.Errorf("%s: %+v, %v", what, step, problem)
			}
		}
	})
	t.Run("the bare one", func(t *testing.T) {
		s := newShelf([]launch.Device{root()}, nil)
		step, _ := s.Read().With(s.want(2), snapshot)
		made := s.publish(t, step)
		if err := s.DeleteVersions(t.Context(), templateID, []int64{2}); err != nil {
			t.Fatal(err)
		}
		_, problem := s.Read().Without(s.want(made))
		want := "version 3 of launch template lt-0123456789abcdef0 has no other device than /dev/xvdb, EC2 makes no version without devices of one that has some, " +
			"and the version without that it came from does not exist any more: publish one, or set deletionPolicy Leave"
		if problem == nil || problem.Reason != v1alpha1.ReasonVersionNotFound || problem.Message != want {
			t.Errorf("%v", problem)
		}
	})
}
