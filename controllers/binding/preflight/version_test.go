package preflight_test

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/launch"
)

func TestReadVersion(t *testing.T) {
	devices := []launch.Device{
		{Name: "/dev/xvda", EBS: &launch.Volume{SizeGiB: 8}}, {Name: "/dev/xvdb", EBS: &launch.Volume{SizeGiB: 40, InitializationRate: 200}},
		{Name: "/dev/xvdc", VirtualName: "ephemeral0"}, {Name: "/dev/xvdd", NoDevice: true},
	}
	listed := []preflight.Device{device("/dev/xvda", 8), device("/dev/xvdb", 40), {Name: "/dev/xvdc"}, {Name: "/dev/xvdd"}}
	cases := map[string]struct{ reason, userData, want string }{
		"base64":         {"AWS keeps it so", base64.StdEncoding.EncodeToString([]byte("[settings]\n")), "[settings]\n"},
		"no base64":      {"what EC2 kept is what nodes get", "#!/bin/bash", "#!/bin/bash"},
		"none":           {"a template needs none", "", ""},
		"compressed too": {"it stays so, and cannot be read", base64.StdEncoding.EncodeToString([]byte("\x1f\x8b\x08")), "\x1f\x8b\x08"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got preflight.Input
			got.ReadVersion(launch.Version{Devices: devices, UserData: tc.userData})
			if diff := cmp.Diff(preflight.Input{Devices: listed, UserData: tc.want}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	if got, want := preflight.VolumeIn(devices, "/dev/xvdb"), (preflight.Volume{SizeGiB: 40, InitializationRate: 200}); got != want {
		t.Errorf("got the volume %+v, want %+v", got, want)
	}
	for _, none := range []string{"/dev/xvdc", "/dev/xvdz"} {
		if got := preflight.VolumeIn(devices, none); got != (preflight.Volume{}) {
			t.Errorf("%s is no volume, and has %+v", none, got)
		}
	}
}

func TestImageOf(t *testing.T) {
	for id, want := range map[string][]string{
		"ami-0123456789abcdef0": {"ami-0123456789abcdef0"}, "": nil, "resolve:ssm:/golden": nil,
	} {
		if diff := cmp.Diff(want, preflight.ImageOf(launch.Version{ImageID: id})); diff != "" {
			t.Errorf("a template with the AMI %q (-want +got):\n%s", id, diff)
		}
	}
}

func TestWhatNodesRun(t *testing.T) {
	const name = "amazon-eks-node-al2023-x86_64-standard-1.33-v20251016"
	amazons, arm := ami.Image{Name: name, Architecture: "amd64", Amazon: true}, ami.Image{Name: name, Architecture: "arm64", Amazon: true}
	copied, old := ami.Image{Name: name, Architecture: "amd64"}, ami.Image{Name: name}
	of := func(images ...ami.Image) func(*preflight.Input) {
		return func(in *preflight.Input) { in.ReadAMIs(images) }
	}
	amiType := func(amiType string) func(*preflight.Input) {
		return func(in *preflight.Input) { in.ReadAMIType(amiType) }
	}
	both := []string{"amd64", "arm64"}
	al2023 := func(stock bool, architectures []string, images ...ami.Image) preflight.Input {
		return preflight.Input{Family: amifamily.AL2023, Stock: stock, Architectures: architectures, ArchitecturesKnown: true, AMIs: images}
	}
	unknown := preflight.Input{Family: amifamily.Unknown, Runtime: amifamily.UnknownRuntime, Architectures: both}
	cases := map[string]struct {
		reason string
		read   func(*preflight.Input)
		want   preflight.Input
	}{
		"Amazon's":             {"what they do is known", of(amazons), al2023(true, []string{"amd64"}, amazons)},
		"of two architectures": {"a group may launch both", of(arm, amazons, arm), al2023(true, both, arm, amazons, arm)},
		"a copy among them":    {"it may do more", of(amazons, copied), al2023(false, []string{"amd64"}, amazons, copied)},
		"no architecture":      {"no image would fit", of(old), al2023(false, nil, old)},
		"no AMI":               {"nothing is known", of(), unknown},
		"a type of EKS":        {"EKS takes its own AMI", amiType("AL2023_ARM_64_NVIDIA"), al2023(true, []string{"arm64"})},
		"a type without an architecture": {"a newer EKS may have one", amiType("NEWER"),
			preflight.Input{Family: amifamily.Unknown, Stock: true, Architectures: both}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := preflight.Input{Stock: true, AMIs: []ami.Image{{ID: "before"}}}
			tc.read(&got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
