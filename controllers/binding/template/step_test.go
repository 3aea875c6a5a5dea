package template

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/launch"
)

var snapshot = binding.Snapshot{ID: "snap-1", SizeGiB: 8}

func TestWithPublishesEveryDevice(t *testing.T) {
	cases := map[string]struct {
		reason  string
		devices []launch.Device
		want    []launch.Device
	}{
		"no devices": {"the AMI's own stay as they are", nil, []launch.Device{added("snap-1")}},
		"others": {
			"EC2 would drop their snapshots if they were not sent again",
			[]launch.Device{{Name: "/dev/xvda", EBS: &launch.Volume{SnapshotID: "snap-root"}}, {Name: "/dev/xvdc", VirtualName: "ephemeral0"}, {Name: "/dev/xvdd", NoDevice: true}},
			[]launch.Device{{Name: "/dev/xvda", EBS: &launch.Volume{SnapshotID: "snap-root"}}, {Name: "/dev/xvdc", VirtualName: "ephemeral0"}, {Name: "/dev/xvdd", NoDevice: true}, added("snap-1")},
		},
		"its own": {
			"what a binding does not decide stays, and the device stays where it is",
			[]launch.Device{data(func(disk *launch.Volume) {
				disk.SizeGiB, disk.KMSKeyID, disk.SnapshotID = 100, "alias/team", "snap-theirs"
			}), root()},
			[]launch.Device{data(func(disk *launch.Volume) { disk.SizeGiB, disk.KMSKeyID, disk.SnapshotID = 100, "alias/team", "snap-1" }), root()},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newShelf(tc.devices)
			step, problem := s.Read().With(s.want(1), snapshot)
			if problem != nil {
				t.Fatal(problem)
			}
			number := s.publish(t, step)
			made := s.version(number)
			if diff := cmp.Diff(tc.want, made.Devices); diff != "" || number != 2 || made.ImageID != "ami-1" || made.UserData != "eA==" {
				t.Errorf("%s: version %+v (-want +got):\n%s", tc.reason, made, diff)
			}
			h := s.Read()
			if !h.IsOurs(uid, 2) || h.IsOurs(otherUID, 2) || h.IsOurs(uid, 1) || h.SnapshotOf(2, dataDevice) != "snap-1" || h.WasCalled(uid, dataDevice, 2) != Latest {
				t.Errorf("%q does not tell whose it is", made.Description)
			}
			if origin, found := h.Origin(uid, dataDevice, 2); !found || origin.Number != 1 {
				t.Errorf("its origin is %d, %v", origin.Number, found)
			}
			back, problem := h.Without(s.want(2))
			if problem != nil {
				t.Fatal(problem)
			}
			if diff := cmp.Diff(tc.devices, s.version(s.publish(t, back)).Devices); diff != "" {
				t.Errorf("given back (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithIsPublishedOnce(t *testing.T) {
	s := newShelf([]launch.Device{root()})
	first, _ := s.Read().With(s.want(1), snapshot)
	if number := s.publish(t, first); number != 2 {
		t.Fatalf("version %d", number)
	}
	// The pass ended before the consumer was told, or EC2's answer was lost.
	if again, problem := s.Read().With(s.want(1), snapshot); problem != nil || again.Number != 2 || again.Publish != nil {
		t.Errorf("a second pass: %+v, %v", again, problem)
	}
	if number := s.publish(t, first); number != 2 || len(s.Versions) != 2 {
		t.Errorf("the same call: version %d of %d", number, len(s.Versions))
	}
	// The consumer is on it.
	if again, problem := s.Read().With(s.want(2), snapshot); problem != nil || again.Number != 2 {
		t.Errorf("once it is applied: %+v, %v", again, problem)
	}
	// A new attempt that asks for a version of its own.
	want := s.want(1)
	want.NewerThan = 2
	again, problem := s.Read().With(want, snapshot)
	if problem != nil || again.Publish == nil || again.Publish.Token == first.Publish.Token {
		t.Errorf("a newer one than 2: %+v, %v", again, problem)
	}
}

func TestAVersionOfOtherContentIsNotUsedAgain(t *testing.T) {
	for name, change := range map[string]func(*launch.Version){
		"another AMI":     func(version *launch.Version) { version.ImageID = "ami-2" },
		"other user data": func(version *launch.Version) { version.UserData = "" },
		"another type":    func(version *launch.Version) { version.InstanceType = "g5.xlarge" },
		"Spot":            func(version *launch.Version) { version.Spot = true },
		"a lost device":   func(version *launch.Version) { version.Devices = version.Devices[1:] },
		"another's": func(version *launch.Version) {
			version.Description = strings.ReplaceAll(version.Description, string(uid), string(otherUID))
		},
		"of another source": func(version *launch.Version) {
			version.Description = strings.ReplaceAll(version.Description, "source=2", "source=1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf([]launch.Device{root()}, []launch.Device{root()})
			step, _ := s.Read().With(s.want(2), snapshot)
			s.publish(t, step)
			change(&s.Versions[2])
			if again, problem := s.Read().With(s.want(2), snapshot); problem != nil || again.Publish == nil {
				t.Errorf("%+v, %v, want a version of its own", again, problem)
			}
		})
	}
}

func TestANewSnapshotReplacesTheOldOne(t *testing.T) {
	s := newShelf([]launch.Device{root(), data(func(disk *launch.Volume) { disk.SizeGiB = 30 })})
	number := int64(1)
	for i, next := range []binding.Snapshot{{ID: "snap-1", SizeGiB: 60}, {ID: "snap-2", SizeGiB: 8}, {ID: "snap-1", SizeGiB: 60}} {
		want := s.want(number)
		want.Was = []string{Default, "2", "3"}[i]
		step, problem := s.Read().With(want, next)
		if problem != nil || step.Publish == nil {
			t.Fatalf("%+v, %v", step, problem)
		}
		number = s.publish(t, step)
		if size := s.version(number).Devices[1].EBS.SizeGiB; size != max(30, next.SizeGiB) {
			t.Errorf("with %s it has %d GiB: the template's own 30 are what counts, not what Larder wrote before", next.ID, size)
		}
		if origin, _ := s.Read().Origin(uid, dataDevice, number); origin.Number != 1 || s.Read().WasCalled(uid, dataDevice, number) != Default {
			t.Errorf("%q is of version %d", s.version(number).Description, origin.Number)
		}
	}
	if number != 4 {
		t.Errorf("version %d: an older one is not trusted", number)
	}
}

func TestWithRefusals(t *testing.T) {
	duplicated := []launch.Device{root(), data(nil), data(nil)}
	cases := map[string]struct {
		reason        string
		devices       []launch.Device
		change        func(s *shelf, want *Want)
		code, message string
	}{
		"twice":     {"EC2 takes a device once", duplicated, nil, v1alpha1.ReasonDeviceDuplicated, "version 1 of launch template lt-0123456789abcdef0 lists /dev/xvdb 2 times, and EC2 takes one: publish a version with one"},
		"ephemeral": {"an instance store has no snapshot", []launch.Device{{Name: dataDevice, VirtualName: "ephemeral0"}}, nil, v1alpha1.ReasonDeviceInvalid, "/dev/xvdb of version 1 of launch template lt-0123456789abcdef0 has no ebs, so it is no volume that a snapshot could fill: publish a version without it, or name another device"},
		"no device": {"who keeps a device away means it", []launch.Device{{Name: dataDevice, NoDevice: true}}, nil, v1alpha1.ReasonDeviceInvalid, "/dev/xvdb of version 1 of launch template lt-0123456789abcdef0 has no ebs, so it is no volume that a snapshot could fill: publish a version without it, or name another device"},
		"root":      {"a node whose root is a cache does not boot", []launch.Device{root()}, func(_ *shelf, want *Want) { want.RootDevice = dataDevice }, v1alpha1.ReasonDeviceInvalid, "/dev/xvdb is the root device of the nodes, which boot from it: name the data device in device.name, /dev/xvdb for Bottlerocket"},
		"too small": {"EC2 makes no volume smaller than its snapshot", nil, func(_ *shelf, want *Want) { want.Device.VolumeSize = gib("7Gi") }, v1alpha1.ReasonVolumeSizeTooSmall, "device.volumeSize 7Gi is below the 8 GiB of snapshot snap-1, and EC2 makes no volume smaller than its snapshot: raise it to 8Gi or more, or leave it out"},
		"gone":      {"nothing can be launched with it", nil, func(_ *shelf, want *Want) { want.From.Number = 7 }, v1alpha1.ReasonVersionNotFound, "version 7 of launch template lt-0123456789abcdef0 does not exist any more, and nothing can be launched with it: have the target launch with a version that exists"},
		"claimed": {"one binding may name a template by its id, and another by its name", []launch.Device{root()}, func(s *shelf, want *Want) {
			s.Bindings = map[types.UID]string{uid: "ours", otherUID: "theirs"}
			theirs := *want
			theirs.Binding = otherUID
			step, _ := s.Read().With(theirs, binding.Snapshot{ID: "snap-theirs"})
			s.add(launch.Version{Devices: step.Publish.Devices, Description: step.Publish.Description})
			want.From = s.version(2)
		}, v1alpha1.ReasonDeviceClaimed, "/dev/xvdb of version 2 of launch template lt-0123456789abcdef0 was written for NodeClassBinding theirs: delete one " +
			"of the two bindings, or give this one another device"},
		"limit": {"AWS keeps so many", nil, func(s *shelf, _ *Want) {
			for len(s.Versions) < 10000 {
				s.add(launch.Version{})
			}
		}, v1alpha1.ReasonVersionLimit, "launch template lt-0123456789abcdef0 has as many versions as AWS allows, by default 10000: delete versions of it that " +
			"nothing launches with; Larder deletes only those that it made"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newShelf(tc.devices)
			want := s.want(1)
			if tc.change != nil {
				tc.change(s, &want)
			}
			step, problem := s.Read().With(want, snapshot)
			if problem == nil || step != (Step{}) {
				t.Fatalf("%s: step %+v", tc.reason, step)
			}
			if problem.Reason != tc.code || problem.Message != tc.message || !problem.Stalled {
				t.Errorf("%s: %s\n%s", tc.reason, problem, cmp.Diff(tc.message, problem.Message))
			}
		})
	}
}

func TestWithoutASnapshotItOnlyLooks(t *testing.T) {
	s := newShelf([]launch.Device{root()})
	if step, problem := s.Read().With(s.want(1), binding.Snapshot{}); problem != nil || step.Number != 1 || step.Publish != nil {
		t.Errorf("%+v, %v", step, problem)
	}
	want := s.want(1)
	want.RootDevice = dataDevice
	if _, problem := s.Read().With(want, binding.Snapshot{}); problem == nil {
		t.Error("the root device is not seen")
	}
}

func TestTwoBindingsOfOneTemplate(t *testing.T) {
	s := newShelf([]launch.Device{root()})
	step, _ := s.Read().With(s.want(1), snapshot)
	ours := s.publish(t, step)
	theirs := s.want(ours)
	theirs.Binding, theirs.Device.Name = otherUID, "/dev/xvdc"
	step, problem := s.Read().With(theirs, binding.Snapshot{ID: "snap-files"})
	if problem != nil {
		t.Fatal(problem)
	}
	both := s.publish(t, step)
	if s.Read().OwnerOf(both) != otherUID || s.Read().SnapshotOf(both, dataDevice) != "snap-1" {
		t.Errorf("%+v", s.version(both))
	}
	// What ours says of the device is needed as long as theirs has it.
	if prunable := s.Read().Prunable(uid, both); len(prunable) != 0 {
		t.Errorf("%v can go", prunable)
	}
	step, problem = s.Read().Without(s.want(both))
	if problem != nil {
		t.Fatal(problem)
	}
	devices := s.version(s.publish(t, step)).Devices
	if len(devices) != 2 || devices[0].Name != "/dev/xvda" || devices[1].EBS.SnapshotID != "snap-files" {
		t.Errorf("after ours was given back: %s", describe(devices))
	}
}
