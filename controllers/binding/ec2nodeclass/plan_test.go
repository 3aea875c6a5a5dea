package ec2nodeclass

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

const dataDevice = "/dev/xvdb"

func classWith(spec map[string]any) *unstructured.Unstructured {
	class := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	class.SetName("gpu")
	return class
}

func bottlerocket(devices ...any) *unstructured.Unstructured {
	spec := map[string]any{"amiSelectorTerms": []any{map[string]any{"alias": "bottlerocket@v1.50.0"}}}
	if devices != nil {
		spec["blockDeviceMappings"] = devices
	}
	return classWith(spec)
}

func bindingWith(device v1alpha1.Device) *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{}
	if device.Name == "" {
		device.Name = dataDevice
	}
	b.Spec.Target.EC2NodeClass = &v1alpha1.EC2NodeClassTarget{Name: "gpu", Device: device}
	return b
}

func entry(name string, ebs mapping) mapping { return mapping{"deviceName": name, "ebs": ebs} }

func size(text string) *resource.Quantity {
	quantity := resource.MustParse(text)
	return &quantity
}

func number(n int64) *int64 { return &n }

var rootVolume = entry("/dev/xvda", mapping{"volumeSize": "8Gi", "kmsKeyID": "alias/root"})

func TestPlanDevices(t *testing.T) {
	cases := map[string]struct {
		reason string
		class  *unstructured.Unstructured
		device v1alpha1.Device
		gib    int64
		stored int64
		want   []any
	}{
		"new device": {
			reason: "gp3 at 500 MiB/s, encrypted, and at least Karpenter's own 20 GiB",
			class:  bottlerocket(rootVolume), gib: 8,
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "20Gi", "volumeType": "gp3",
				"throughput": int64(500), "encrypted": true})},
		},
		"new device, large snapshot": {
			reason: "a volume is never smaller than its snapshot",
			class:  bottlerocket(rootVolume), gib: 48,
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "48Gi", "volumeType": "gp3",
				"throughput": int64(500), "encrypted": true})},
		},
		"contents that fill the snapshot": {
			reason: "kubelet cannot collect them: 24 GiB and a byte are 60 % of 41 GiB, not of 40",
			class:  bottlerocket(rootVolume), gib: 26, stored: 24<<30 + 1,
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "41Gi", "volumeType": "gp3",
				"throughput": int64(500), "encrypted": true})},
		},
		"contents that are exactly 60 %": {
			reason: "no volume is a GiB larger than it has to be",
			class:  bottlerocket(rootVolume), gib: 26, stored: 24 << 30,
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "40Gi", "volumeType": "gp3",
				"throughput": int64(500), "encrypted": true})},
		},
		"contents, and a size that is said": {
			reason: "the binding's word comes first",
			class:  bottlerocket(rootVolume), gib: 26, stored: 24 << 30, device: v1alpha1.Device{VolumeSize: size("30Gi")},
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "30Gi", "volumeType": "gp3",
				"throughput": int64(500), "encrypted": true})},
		},
		"initialization rate": {
			reason: "EBS loads the volume from the snapshot at once",
			class:  bottlerocket(rootVolume), gib: 8, device: v1alpha1.Device{VolumeInitializationRate: number(200)},
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "20Gi", "volumeType": "gp3",
				"throughput": int64(500), "volumeInitializationRate": int64(200), "encrypted": true})},
		},
		"initialization rate of the class": {
			reason: "what the binding does not say stays",
			class: bottlerocket(rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-theirs", "volumeSize": "20Gi", "volumeType": "gp3",
				"throughput": int64(500), "volumeInitializationRate": int64(100)})), gib: 8,
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "20Gi", "volumeType": "gp3",
				"throughput": int64(500), "volumeInitializationRate": int64(100)})},
		},
		"device that is there": {
			reason: "what the binding does not say stays, unknown fields and place included",
			class: bottlerocket(mapping{"deviceName": dataDevice, "rootVolume": true, "ebs": mapping{"volumeSize": "100G", "volumeType": "io2",
				"iops": int64(5000), "encrypted": false, "deleteOnTermination": true, "futureField": "kept"}}, rootVolume), gib: 8,
			want: []any{mapping{"deviceName": dataDevice, "rootVolume": true, "ebs": mapping{"volumeSize": "100G", "volumeType": "io2",
				"iops": int64(5000), "encrypted": false, "deleteOnTermination": true, "futureField": "kept", "snapshotID": "snap-1"}}, rootVolume},
		},
		"device of the class too small": {
			reason: "the class's own size is a wish, the snapshot's a bound",
			class:  bottlerocket(entry(dataDevice, mapping{"volumeSize": "30Gi", "throughput": int64(250)})), gib: 40,
			want: []any{entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "40Gi", "volumeType": "gp3", "throughput": int64(250)})},
		},
		"everything said": {
			reason: "the binding's word comes first",
			class:  bottlerocket(entry(dataDevice, mapping{"volumeSize": "100Gi", "volumeType": "gp3", "throughput": int64(125)})), gib: 40,
			device: v1alpha1.Device{VolumeSize: size("50Gi"), VolumeType: "gp3", IOPS: number(6000), Throughput: number(1000)},
			want: []any{entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "50Gi", "volumeType": "gp3", "iops": int64(6000),
				"throughput": int64(1000)})},
		},
		"size that is no whole GiB": {
			reason: "EBS has whole GiB, and Karpenter's field takes no Mi",
			class:  bottlerocket(rootVolume), gib: 8,
			device: v1alpha1.Device{VolumeSize: size("50500Mi")},
			want: []any{rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "50Gi", "volumeType": "gp3",
				"throughput": int64(500), "encrypted": true})},
		},
		"other volume type than the class's": {
			reason: "what the class said for io1 does not hold for gp2",
			class:  bottlerocket(entry(dataDevice, mapping{"volumeSize": "50Gi", "volumeType": "io1", "iops": int64(400)})), gib: 8,
			device: v1alpha1.Device{VolumeType: "gp2"},
			want:   []any{entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "50Gi", "volumeType": "gp2"})},
		},
		"Bottlerocket without a list": {
			reason: "a list replaces Karpenter's defaults altogether, so the root device has to be in it",
			class:  bottlerocket(), gib: 8,
			want: []any{
				entry("/dev/xvda", mapping{"volumeSize": "6Gi", "volumeType": "gp3", "encrypted": true}),
				entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "20Gi", "volumeType": "gp3", "throughput": int64(500), "encrypted": true}),
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := tc.class.DeepCopy()
			o := &observation{class: tc.class}
			plan := o.Plan(bindingWith(tc.device), binding.Snapshot{ID: "snap-1", SizeGiB: tc.gib, StoredBytes: tc.stored}, time.Now())
			if plan.Problem != nil {
				t.Fatalf("%s: %v", tc.reason, plan.Problem)
			}
			if diff := cmp.Diff(tc.want, plan.Write.(*write).devices); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(before.Object, tc.class.Object); diff != "" {
				t.Errorf("planning changed what was observed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanProblems(t *testing.T) {
	cases := map[string]struct {
		reason string
		class  *unstructured.Unstructured
		device v1alpha1.Device
		want   string
		says   string
	}{
		"twice":         {"EC2 takes a device once", bottlerocket(entry(dataDevice, nil), entry(dataDevice, nil)), v1alpha1.Device{}, "DeviceDuplicated", "lists /dev/xvdb 2 times"},
		"no ebs":        {"a mapping without ebs is an instance store volume", bottlerocket(mapping{"deviceName": dataDevice}), v1alpha1.Device{}, "DeviceInvalid", "has no ebs"},
		"root device":   {"a node whose root is a cache does not boot", bottlerocket(rootVolume), v1alpha1.Device{Name: "/dev/xvda"}, "DeviceInvalid", "is the root device of Bottlerocket nodes"},
		"AL2023 root":   {"the same for another family, known by its alias", classWith(map[string]any{"amiSelectorTerms": []any{map[string]any{"alias": "al2023@latest"}}}), v1alpha1.Device{Name: "/dev/xvda"}, "DeviceInvalid", "is the root device of AL2023 nodes"},
		"unknown list":  {"what a custom AMI boots from is not known", classWith(map[string]any{"amiFamily": "Custom"}), v1alpha1.Device{}, "DeviceInvalid", "add the root device to spec.blockDeviceMappings first"},
		"no family":     {"the same when nothing says the family", classWith(map[string]any{"amiSelectorTerms": []any{map[string]any{"id": "ami-0123456789abcdef0"}}}), v1alpha1.Device{}, "DeviceInvalid", "for family unknown"},
		"too small":     {"EC2 makes no volume smaller than its snapshot", bottlerocket(rootVolume), v1alpha1.Device{VolumeSize: size("39Gi")}, "VolumeSizeTooSmall", "raise it to 40Gi or more"},
		"iops on gp2":   {"the class says gp2, so the API's own rule did not see it", bottlerocket(entry(dataDevice, mapping{"volumeType": "gp2"})), v1alpha1.Device{IOPS: number(3000)}, "DeviceInvalid", "is gp2, which has no iops to set"},
		"fast io1":      {"throughput is for gp3", bottlerocket(entry(dataDevice, mapping{"volumeType": "io1", "iops": int64(400)})), v1alpha1.Device{Throughput: number(500)}, "DeviceInvalid", "is io1, which has no throughput to set"},
		"io2, no iops":  {"EC2 asks for them", bottlerocket(rootVolume), v1alpha1.Device{VolumeType: "io2"}, "DeviceInvalid", "needs iops: set device.iops"},
		"few iops":      {"gp3 has 3000 at least", bottlerocket(rootVolume), v1alpha1.Device{IOPS: number(2999)}, "DeviceInvalid", "has at least 3000 iops"},
		"fast, no iops": {"gp3 gives 1 MiB/s for 4 iops", bottlerocket(rootVolume), v1alpha1.Device{Throughput: number(751)}, "DeviceInvalid", "needs 3004 iops"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan := (&observation{class: tc.class}).Plan(bindingWith(tc.device), binding.Snapshot{ID: "snap-1", SizeGiB: 40}, time.Now())
			if plan.Problem == nil || plan.Problem.Reason != tc.want || !plan.Problem.Stalled || plan.Write != nil {
				t.Fatalf("%s: got %+v, want %s, stalled and unwritten", tc.reason, plan, tc.want)
			}
			if !strings.Contains(plan.Problem.Message, tc.says) {
				t.Errorf("%s: the message does not say %q:\n%s", tc.reason, tc.says, plan.Problem.Message)
			}
		})
	}
}

func TestPlanWithoutASnapshotOnlyLooks(t *testing.T) {
	plan := (&observation{class: bottlerocket(rootVolume)}).Plan(bindingWith(v1alpha1.Device{VolumeSize: size("1Gi")}), binding.Snapshot{}, time.Now())
	if plan.Problem != nil || plan.Write != nil {
		t.Errorf("got %+v, want neither a problem nor a write", plan)
	}
}

// The class names a snapshot by its own or a binding's hand; what is the original of the device?
func TestPlanRecord(t *testing.T) {
	written := entry(dataDevice, mapping{"snapshotID": "snap-old", "volumeSize": "100Gi", "volumeType": "gp3", "throughput": int64(500)})
	cases := map[string]struct {
		reason   string
		class    *unstructured.Unstructured
		recorded string
		want     string
		size     string
	}{
		"first write": {
			reason: "the mapping as it is, integers as integers",
			class:  bottlerocket(entry(dataDevice, mapping{"volumeSize": "50Gi", "iops": int64(3500)})),
			want:   `{"/dev/xvdb":{"deviceName":"/dev/xvdb","ebs":{"iops":3500,"volumeSize":"50Gi"}}}`, size: "50Gi",
		},
		"device that was not there": {
			reason: "null stands for absence",
			class:  bottlerocket(rootVolume), want: `{"/dev/xvdb":null}`, size: "40Gi",
		},
		"no list": {
			reason: "the root device is marked too: no binding may have it, so it says that there was no list",
			class:  bottlerocket(), want: `{"/dev/xvda":null,"/dev/xvdb":null}`, size: "40Gi",
		},
		"renewal": {
			reason: "what Larder wrote last is not the class's own: a volume shrinks again with its snapshot",
			class:  bottlerocket(written), recorded: `{"/dev/xvdb":{"deviceName":"/dev/xvdb","ebs":{"volumeSize":"50Gi"}}}`,
			want: `{"/dev/xvdb":{"deviceName":"/dev/xvdb","ebs":{"volumeSize":"50Gi"}}}`, size: "50Gi",
		},
		"adoption": {
			reason: "a snapshot that Larder applies is not restored: it is deleted one day, and nodes could not launch",
			class:  bottlerocket(written), want: `{"/dev/xvdb":{"deviceName":"/dev/xvdb","ebs":{"throughput":500,"volumeSize":"100Gi","volumeType":"gp3"}}}`, size: "100Gi",
		},
		"a snapshot that was taken back": {
			reason: "who puts the bad one back by hand does not make it the class's own",
			class:  bottlerocket(entry(dataDevice, mapping{"snapshotID": "snap-bad", "volumeSize": "100Gi"})),
			want:   `{"/dev/xvdb":{"deviceName":"/dev/xvdb","ebs":{"volumeSize":"100Gi"}}}`, size: "100Gi",
		},
		"somebody's own list over a list that Larder began": {
			reason: "the mark goes: the list is not Larder's to remove any more",
			class:  bottlerocket(rootVolume, entry(dataDevice, mapping{"volumeSize": "60Gi"})), recorded: `{"/dev/xvda":null,"/dev/xvdb":null}`,
			want: `{"/dev/xvdb":{"deviceName":"/dev/xvdb","ebs":{"volumeSize":"60Gi"}}}`, size: "60Gi",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.recorded != "" {
				tc.class.SetAnnotations(map[string]string{v1alpha1.AnnotationOriginalDevice: tc.recorded,
					v1alpha1.AnnotationAppliedSnapshots: `{"/dev/xvdb":"snap-old"}`})
			}
			b := bindingWith(v1alpha1.Device{})
			b.Status.AppliedSnapshotID, b.Status.RejectedSnapshotID = "snap-old", "snap-bad"
			w := (&observation{class: tc.class}).Plan(b, binding.Snapshot{ID: "snap-1", SizeGiB: 40}, time.Now()).Write.(*write)
			got, err := w.record.annotations()
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]any{v1alpha1.AnnotationOriginalDevice: tc.want,
				v1alpha1.AnnotationAppliedSnapshots: `{"/dev/xvdb":"snap-1"}`}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got := ebsOf(find(w.devices, dataDevice))["volumeSize"]; got != tc.size {
				t.Errorf("%s: volumeSize is %v, want %s", tc.reason, got, tc.size)
			}
		})
	}
}

func TestUnreadableRecordIsSaid(t *testing.T) {
	for _, text := range []string{"{", `{"/dev/xvdb": 5}`} {
		class := bottlerocket(rootVolume)
		class.SetAnnotations(map[string]string{v1alpha1.AnnotationOriginalDevice: text})
		o := &observation{class: class}
		for what, plan := range map[string]binding.Plan{
			"Plan":        o.Plan(bindingWith(v1alpha1.Device{}), binding.Snapshot{ID: "snap-1"}, time.Now()),
			"PlanRestore": o.PlanEnd(bindingWith(v1alpha1.Device{}), time.Now()),
		} {
			if plan.Problem == nil || plan.Write != nil || !strings.Contains(plan.Problem.Message, "remove the annotation") {
				t.Errorf("%s with record %s: got %+v, want a problem that says what to do", what, text, plan)
			}
		}
	}
}
