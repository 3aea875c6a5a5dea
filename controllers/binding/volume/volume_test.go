package volume

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

var words = Words{Volume: "the volume models", Fields: "ecsService."}

func quantity(text string) *resource.Quantity {
	parsed := resource.MustParse(text)
	return &parsed
}

func number(value int64) *int64 { return &value }

func TestVolumeFromASnapshot(t *testing.T) {
	cases := map[string]struct {
		reason   string
		own      Volume
		asked    Asked
		snapshot binding.Snapshot
		want     Volume
	}{
		"nothing said": {
			reason: "gp3's own throughput of 125 MiB/s reads 8 GiB a minute",
			want:   Volume{SnapshotID: "snap-1", SizeGiB: 20, Type: "gp3", Throughput: 500},
		},
		"own size": {
			reason: "nobody's volume gets smaller", own: Volume{SizeGiB: 100, Type: "gp3", IOPS: 4000, Throughput: 250, InitializationRate: 100, SnapshotID: "snap-own"},
			want: Volume{SnapshotID: "snap-1", SizeGiB: 100, Type: "gp3", IOPS: 4000, Throughput: 250, InitializationRate: 100},
		},
		"the snapshot's size": {
			reason: "EC2 makes no volume smaller than its snapshot", snapshot: binding.Snapshot{SizeGiB: 48},
			want: Volume{SnapshotID: "snap-1", SizeGiB: 48, Type: "gp3", Throughput: 500},
		},
		"contents": {
			reason: "kubelet cannot collect them, so they get 60 %", snapshot: binding.Snapshot{SizeGiB: 26, StoredBytes: 24 << 30},
			want: Volume{SnapshotID: "snap-1", SizeGiB: 40, Type: "gp3", Throughput: 500},
		},
		"asked size": {
			reason: "who asks for less room gets it, in whole GiB", own: Volume{SizeGiB: 100}, asked: Asked{Size: quantity("30500Mi")},
			snapshot: binding.Snapshot{SizeGiB: 26, StoredBytes: 24 << 30},
			want:     Volume{SnapshotID: "snap-1", SizeGiB: 30, Type: "gp3", Throughput: 500},
		},
		"asked performance": {
			reason: "the binding's word goes before the target's", own: Volume{Type: "gp3", IOPS: 3500, Throughput: 125, InitializationRate: 100},
			asked: Asked{Type: "gp3", IOPS: number(8000), Throughput: number(1000), InitializationRate: number(300)},
			want:  Volume{SnapshotID: "snap-1", SizeGiB: 20, Type: "gp3", IOPS: 8000, Throughput: 1000, InitializationRate: 300},
		},
		"another type": {
			reason: "what is said of the old type does not fit the new one", own: Volume{Type: "io1", IOPS: 400}, asked: Asked{Type: "gp2"},
			want: Volume{SnapshotID: "snap-1", SizeGiB: 20, Type: "gp2"},
		},
		"io2 of gp3": {
			reason: "only gp3 has a throughput to set", own: Volume{Type: "gp3", IOPS: 4000, Throughput: 500}, asked: Asked{Type: "io2"},
			want: Volume{SnapshotID: "snap-1", SizeGiB: 20, Type: "io2", IOPS: 4000},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.snapshot.ID = "snap-1"
			got, problem := From(tc.own, tc.asked, tc.snapshot, words)
			if problem != nil {
				t.Fatal(problem)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestVolumeRefusals(t *testing.T) {
	cases := map[string]struct {
		reason, code, message string
		own                   Volume
		asked                 Asked
	}{
		"too small": {
			"EC2 would refuse it at launch", v1alpha1.ReasonVolumeSizeTooSmall, "ecsService.volumeSize 39Gi is below the 40 GiB of snapshot snap-1, and EC2 makes " +
				"no volume smaller than its snapshot: raise it to 40Gi or more, or leave it out", Volume{}, Asked{Size: quantity("39Gi")},
		},
		"iops on gp2": {
			"gp2 has none", v1alpha1.ReasonDeviceInvalid, "the volume models is gp2, which has no iops to set: leave ecsService.iops out, or set " +
				"ecsService.volumeType to gp3, io1 or io2", Volume{Type: "gp2"}, Asked{IOPS: number(3000)},
		},
		"fast io1": {
			"throughput is for gp3", v1alpha1.ReasonDeviceInvalid, "the volume models is io1, which has no throughput to set: leave ecsService.throughput out, or " +
				"set ecsService.volumeType to gp3", Volume{Type: "io1", IOPS: 400}, Asked{Throughput: number(500)},
		},
		"io2, no iops": {
			"EC2 asks for them", v1alpha1.ReasonDeviceInvalid, "the volume models is io2, which needs iops: set ecsService.iops", Volume{}, Asked{Type: "io2"},
		},
		"few iops": {
			"gp3 has 3000 at least", v1alpha1.ReasonDeviceInvalid, "the volume models is gp3, which has at least 3000 iops: raise ecsService.iops, or leave it out",
			Volume{}, Asked{IOPS: number(2999)},
		},
		"fast, no iops": {
			"gp3 gives 1 MiB/s for 4 iops", v1alpha1.ReasonDeviceInvalid, "the volume models has a throughput of 751 MiB/s, for which gp3 needs 3004 iops: set " +
				"ecsService.iops, or lower ecsService.throughput", Volume{}, Asked{Throughput: number(751)},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, problem := From(tc.own, tc.asked, binding.Snapshot{ID: "snap-1", SizeGiB: 40}, words)
			if problem == nil || problem.Reason != tc.code || problem.Message != tc.message || !problem.Stalled {
				t.Errorf("%s: %v, want %s: %s", tc.reason, problem, tc.code, tc.message)
			}
		})
	}
}

func TestVolumeOfADevice(t *testing.T) {
	device := v1alpha1.Device{Name: "/dev/xvdb", VolumeSize: quantity("50Gi"), VolumeType: "io2", IOPS: number(400), VolumeInitializationRate: number(200)}
	got, problem := From(Volume{}, OfDevice(&device), binding.Snapshot{ID: "snap-1"}, Words{Volume: device.Name, Fields: "device."})
	if problem != nil {
		t.Fatal(problem)
	}
	if diff := cmp.Diff(Volume{SnapshotID: "snap-1", SizeGiB: 50, Type: "io2", IOPS: 400, InitializationRate: 200}, got); diff != "" {
		t.Errorf("volume (-want +got):\n%s", diff)
	}
	device.Throughput = number(500)
	if _, problem = From(Volume{}, OfDevice(&device), binding.Snapshot{}, Words{Volume: device.Name, Fields: "device."}); problem == nil ||
		!strings.HasPrefix(problem.Message, "/dev/xvdb is io2, which has no throughput to set: leave device.throughput out") {
		t.Errorf("without a snapshot it is not checked: %v", problem)
	}
}
