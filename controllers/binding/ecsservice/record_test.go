package ecsservice

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

const role = "arn:aws:iam::111122223333:role/ecs/infrastructure"

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	cases := map[string]record{
		"no volume before": {exists: true, applied: []string{"snap-1"}},
		"an empty volume":  {exists: true, former: &ecs.Volume{Name: "models", SizeGiB: 10}, applied: []string{"snap-2", "snap-1"}},
		"everything": {exists: true, applied: []string{"snap-1"}, former: &ecs.Volume{
			Name: "models", SnapshotID: "snap-0", SizeGiB: 10, Type: "io2", IOPS: 200, Throughput: 125, InitializationRate: 100,
			FilesystemType: "ext3", RoleARN: role,
		}},
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			tags, problem := want.tags("models")
			if problem != nil {
				t.Fatal(problem)
			}
			got, err := readRecord(tags, "models")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(record{})); diff != "" {
				t.Errorf("of %v (-want +got):\n%s", tags, diff)
			}
		})
	}
}

func TestARecordThatSomebodyChangedIsAnError(t *testing.T) {
	for name, text := range map[string]string{"a word": "hello", "a number": "size=ten", "another field": "size=10 colour=red"} {
		t.Run(name, func(t *testing.T) {
			_, err := readRecord(map[string]string{originalTag + "models": text}, "models")
			if err == nil || !strings.HasPrefix(err.Error(), "reading tag larder.dev/original-volume-models: ") {
				t.Errorf("%q: error %v, want one that names the tag", text, err)
			}
		})
	}
}

func TestWhatNoTagHoldsIsAProblem(t *testing.T) {
	long := strings.Repeat("v", 100)
	for name, c := range map[string]struct {
		volume string
		record record
		says   string
	}{
		"a long name":     {long, record{exists: true}, "the name of volume " + long + " is too long for a tag"},
		"a long role":     {"models", record{former: &ecs.Volume{RoleARN: role + strings.Repeat("/x", 120)}}, "what the service says of volume models does not fit in a tag"},
		"a role's commas": {"models", record{former: &ecs.Volume{RoleARN: role + ",v2"}}, "what the service says of volume models does not fit in a tag"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problem := c.record.tags(c.volume)
			if problem == nil || problem.Reason != v1alpha1.ReasonDeviceInvalid || !strings.HasPrefix(problem.Message, c.says) {
				t.Errorf("problem %v, want one that says %q", problem, c.says)
			}
		})
	}
}

func TestTaking(t *testing.T) {
	former := ecs.Volume{Name: "models", SizeGiB: 10, Type: "gp3", RoleARN: role}
	recorded := *tuned(former, false)
	larder := func(id string) *ecs.Volume {
		volume := former
		volume.SnapshotID, volume.SizeGiB = id, 40
		return &volume
	}
	applied := &v1alpha1.NodeClassBinding{}
	applied.Status.AppliedSnapshotID = "snap-1"
	known := func(ids ...string) record { return record{exists: true, former: &recorded, applied: ids} }
	sized := recorded
	sized.SizeGiB = 40
	withRole := recorded
	withRole.RoleARN = role
	others := *larder("snap-other")
	cases := map[string]struct {
		reason  string
		record  record
		current *ecs.Volume
		binding *v1alpha1.NodeClassBinding
		wanted  *ecs.Volume
		want    record
	}{
		"the first time":   {"it is as it is", record{}, &former, &v1alpha1.NodeClassBinding{}, larder("snap-1"), known("snap-1")},
		"no volume before": {"there is nothing to go back to", record{}, nil, &v1alpha1.NodeClassBinding{}, larder("snap-1"), record{exists: true, applied: []string{"snap-1"}}},
		"a newer one": {
			"should the write not be made, the one of before is Larder's still", known("snap-1"), larder("snap-1"), applied,
			larder("snap-2"), known("snap-2", "snap-1"),
		},
		"again": {"the former one is known", known("snap-1"), larder("snap-1"), applied, larder("snap-1"), known("snap-1")},
		"after a crash between tags and update": {
			"the service has the volume of before", known("snap-1"), &former, &v1alpha1.NodeClassBinding{}, larder("snap-2"), known("snap-2"),
		},
		"somebody else's since": {
			"what is there now is the owner's wish", known("snap-1"), &others, applied, larder("snap-2"),
			record{exists: true, former: tuned(others, false), applied: []string{"snap-2"}},
		},
		"a snapshot of Larder that somebody else wrote": {
			"it will be deleted one day", record{}, larder("snap-1"), applied, larder("snap-2"),
			record{exists: true, former: &sized, applied: []string{"snap-2"}},
		},
		"another role": {
			"it comes back too", known("snap-1"), larder("snap-1"), applied, func() *ecs.Volume {
				volume := larder("snap-2")
				volume.RoleARN = role + "2"
				return volume
			}(), record{exists: true, former: &withRole, applied: []string{"snap-2", "snap-1"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := c.record.taking(c.current, *c.wanted, c.binding)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(record{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
