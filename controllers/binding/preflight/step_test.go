package preflight_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

func TestReadStep(t *testing.T) {
	disk := func(gib int64) []launch.Device {
		return []launch.Device{{Name: "/dev/xvdb", EBS: &launch.Volume{SizeGiB: gib}}}
	}
	history := template.History{Versions: []launch.Version{
		{Number: 1, UserData: "one", Devices: disk(10)}, {Number: 2, UserData: "two", Devices: disk(20)},
	}}
	cases := map[string]struct {
		reason string
		step   template.Step
		want   preflight.Input
	}{
		"a new version": {"it has the source's user data, and its own devices", template.Step{Publish: &launch.NewVersion{Source: 1, Devices: disk(40)}},
			preflight.Input{UserData: "one", Devices: []preflight.Device{device("/dev/xvdb", 10)}, Wanted: preflight.Volume{SizeGiB: 40}}},
		"a version that exists": {"it is as it will be", template.Step{Number: 1},
			preflight.Input{UserData: "one", Devices: []preflight.Device{device("/dev/xvdb", 10)}, Wanted: preflight.Volume{SizeGiB: 10}}},
		"no step": {"nothing is wanted for sure", template.Step{},
			preflight.Input{UserData: "two", Devices: []preflight.Device{device("/dev/xvdb", 20)}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.want.Device = "/dev/xvdb"
			got := preflight.Input{Device: "/dev/xvdb"}
			got.ReadStep(history, history.Versions[1], tc.step)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
