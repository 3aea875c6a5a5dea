package ec2nodeclass

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

func TestPlanSaysWhatThePreflightFinds(t *testing.T) {
	snapshot := binding.Snapshot{ID: "snap-1", Format: v1alpha1.FormatBottlerocket, SizeGiB: 16, Platforms: []string{"linux/amd64", "linux/arm64"}}
	said := v1alpha1.Device{VolumeSize: size("20Gi")}
	full := snapshot
	full.StoredBytes = 16 << 30
	raid := bottlerocket(rootVolume)
	raid.Object["spec"].(map[string]any)["instanceStorePolicy"] = "RAID0"
	written := bottlerocket(rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-0", "volumeSize": "100Gi"}))
	written.SetAnnotations(map[string]string{v1alpha1.AnnotationOriginalDevice: `{"/dev/xvdb":{"deviceName":"/dev/xvdb","ebs":{"volumeSize":"25Gi"}}}`,
		v1alpha1.AnnotationAppliedSnapshots: `{"/dev/xvdb":"snap-0"}`})
	cases := map[string]struct {
		reason   string
		o        *observation
		device   v1alpha1.Device
		snapshot binding.Snapshot
		problem  string
		warnings []string
	}{
		"nothing":                        {"the usual pool", &observation{class: bottlerocket(rootVolume)}, said, snapshot, "", nil},
		"a problem":                      {"no node would see the images", &observation{class: raid}, said, snapshot, "InstanceStoreHidesDevice", nil},
		"a warning":                      {"it does not keep the snapshot from being written", &observation{class: bottlerocket(rootVolume)}, said, full, "", []string{"ContentsFillVolume"}},
		"a size of Larder's own":         {"the 100 GiB in place are an older snapshot's: what it is made now has room again", &observation{class: written}, v1alpha1.Device{}, full, "", nil},
		"a snapshot that is not usable":  {"what it will be is not known", &observation{class: bottlerocket(rootVolume)}, said, binding.Snapshot{}, "", nil},
		"a problem without any snapshot": {"it can be solved while the snapshot is made", &observation{class: raid}, said, binding.Snapshot{}, "InstanceStoreHidesDevice", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan := tc.o.Plan(bindingWith(tc.device), tc.snapshot, time.Now())
			problem := ""
			if plan.Problem != nil {
				problem = plan.Problem.Reason
			}
			if wants := tc.problem == "" && tc.snapshot.ID != ""; problem != tc.problem || wants != (plan.Write != nil) {
				t.Errorf("%s: got problem %q and write %v", tc.reason, problem, plan.Write)
			}
			var warnings []string
			for _, warning := range plan.Warnings {
				warnings = append(warnings, warning.Reason)
			}
			if diff := cmp.Diff(tc.warnings, warnings); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
