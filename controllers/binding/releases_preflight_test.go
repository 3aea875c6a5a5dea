package binding_test

import (
	"context"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// testPreflight has every kind of class that nodes could not boot from, or not from its images, as the API server stores it.
func testPreflight(h *hands, t *testing.T) {
	volumeSize := resource.MustParse("20Gi")
	enough := resource.MustParse("40Gi")
	full, forAL2023, forAMD := snapshotOf("snap-1"), snapshotOf("snap-1"), snapshotOf("snap-1")
	full.StoredBytes, forAL2023.Format, forAMD.Platforms = 39<<30, v1alpha1.FormatContainerd, []string{"linux/amd64"}
	data := volume(device, "40Gi")
	cases := map[string]struct {
		devices  []any
		spec     map[string]any
		device   v1alpha1.Device
		amis     []any
		snapshot binding.Snapshot
		problem  string
		warning  string
	}{
		"device doubled":       {devices: []any{root, data, data}, problem: v1alpha1.ReasonDeviceDuplicated},
		"device without ebs":   {devices: []any{root, map[string]any{"deviceName": device}}, problem: v1alpha1.ReasonDeviceInvalid},
		"root device":          {device: v1alpha1.Device{Name: "/dev/xvda"}, problem: v1alpha1.ReasonDeviceInvalid},
		"unlike the family's":  {device: v1alpha1.Device{Name: "/dev/xvdc"}, problem: v1alpha1.ReasonDeviceUnlikeFamily},
		"below the snapshot":   {device: v1alpha1.Device{VolumeSize: &volumeSize}, problem: v1alpha1.ReasonVolumeSizeTooSmall},
		"another format":       {snapshot: forAL2023, problem: v1alpha1.ReasonFormatMismatch},
		"RAID0":                {spec: map[string]any{"instanceStorePolicy": "RAID0"}, problem: v1alpha1.ReasonInstanceStoreHides},
		"bound to instances":   {spec: map[string]any{"userData": "[settings.bootstrap-commands.disks]\ncommands = [[\"apiclient\", \"ephemeral-storage\", \"bind\"]]\nmode = \"always\"\n"}, problem: v1alpha1.ReasonInstanceStoreHides},
		"another snapshotter":  {spec: map[string]any{"userData": "[settings.container-runtime]\nsnapshotter = \"soci\"\n"}, problem: v1alpha1.ReasonSnapshotterUnsupported},
		"AL2023, not mounted":  {spec: map[string]any{"amiSelectorTerms": []any{map[string]any{"alias": "al2023@latest"}}}, snapshot: forAL2023, problem: v1alpha1.ReasonDeviceNotMounted},
		"another architecture": {amis: []any{imageOf("arm64")}, snapshot: forAMD, problem: v1alpha1.ReasonArchitectureMismatch},
		"full of images":       {device: v1alpha1.Device{VolumeSize: &enough}, snapshot: full, warning: v1alpha1.ReasonContentsFillVolume},
		"nothing is wrong":     {amis: []any{imageOf("amd64"), imageOf("arm64")}},
	}
	number := 0
	for name, tc := range cases {
		number++
		class := fmt.Sprint("preflight-", number)
		t.Run(name, func(t *testing.T) {
			h := h.in(t)
			if tc.devices == nil {
				tc.devices = []any{root}
			}
			h.newClass(class, tc.devices...)
			h.edit(class, "kubectl-edit", func(spec map[string]any) {
				for field, value := range tc.spec {
					spec[field] = value
				}
			})
			if tc.amis != nil {
				stored := h.class(class)
				stored.Object["status"] = map[string]any{"amis": tc.amis}
				h.must(h.admin.Status().Update(context.Background(), stored))
			}
			if tc.snapshot.ID == "" {
				tc.snapshot = snapshotOf("snap-1")
			}
			b := h.newBinding(class)
			if tc.device.Name == "" {
				tc.device.Name = device
			}
			b.Spec.Target.EC2NodeClass.Device = tc.device
			h.expectFinding(h.plan(b, tc.snapshot), tc.problem, tc.warning)
		})
	}
}

func (h *hands) expectFinding(plan binding.Plan, problem, warning string) {
	h.Helper()
	if problem != "" {
		h.expectProblem(plan, problem)
		return
	}
	if plan.Problem != nil || plan.Write == nil {
		h.Errorf("got %+v, want it to be written", plan)
	}
	var warnings string
	for _, one := range plan.Warnings {
		warnings += one.Reason
	}
	if warnings != warning {
		h.Errorf("warned of %q, want %q: %+v", warnings, warning, plan.Warnings)
	}
}

func imageOf(architecture string) map[string]any {
	return map[string]any{"id": "ami-" + architecture, "requirements": []any{map[string]any{
		"key": "kubernetes.io/arch", "operator": "In", "values": []any{architecture},
	}}}
}
