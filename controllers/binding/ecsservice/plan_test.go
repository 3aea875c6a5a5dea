package ecsservice

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

var (
	began = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	files = binding.Snapshot{ID: "snap-2", Format: v1alpha1.FormatFiles, SizeGiB: 40}
)

func volumeOf(id string) ecs.Volume {
	return ecs.Volume{
		Name: "models", SnapshotID: id, SizeGiB: 40, Type: "gp3", Throughput: 500, FilesystemType: "ext4", RoleARN: role,
	}
}

func bound(applied string) *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{}
	b.Spec.Target.ECSService = &v1alpha1.ECSServiceTarget{Cluster: "prod", Service: "llm", VolumeName: "models"}
	if b.Status.AppliedSnapshotID = applied; applied != "" {
		b.Status.AppliedTime = &metav1.Time{Time: began}
	}
	return b
}

// observed is a service whose two tasks run with the volume of snap-1, which Larder wrote.
func observed(edits ...func(*observation)) *observation {
	now := volumeOf("snap-1")
	o := &observation{
		service: ecs.Service{
			ARN: "arn:aws:ecs:us-west-2:111122223333:service/prod/llm", Name: "llm", Status: statusActive, Controller: controllerECS,
			Scheduling: schedulingReplica, DesiredTasks: 2,
			Tags:        map[string]string{originalTag + "models": "size=10 type=gp3", appliedTag + "models": "snap-1"},
			Deployments: []ecs.Deployment{{ID: "ecs-svc/1", Primary: true, Running: 2, Volumes: []ecs.Volume{now}}},
		},
		latest: ecs.Rollout{
			State: ecs.Deployed, CreatedAt: began, Volumes: []ecs.Volume{now},
			Before: [][]ecs.Volume{{{Name: "models", SizeGiB: 10, Type: "gp3", RoleARN: role}}},
		},
		definition: ecs.TaskDefinition{Name: "llm:1", ConfiguredAtLaunch: []string{"models"}, Mounted: []string{"models"}},
	}
	for _, edit := range edits {
		edit(o)
	}
	return o
}

func deploying(o *observation) {
	o.latest.State = ecs.Deploying
	o.service.Deployments[0].Running, o.service.Deployments[0].Pending = 0, 2
	o.service.Deployments = append(o.service.Deployments, ecs.Deployment{ID: "ecs-svc/0", Running: 2})
}

func TestPlanWrites(t *testing.T) {
	plan := observed().Plan(bound("snap-1"), files, began.Add(time.Hour))
	w, ok := plan.Write.(*write)
	if !ok {
		t.Fatalf("nothing is written: %+v", plan)
	}
	if diff := cmp.Diff([]ecs.Volume{volumeOf("snap-2")}, w.volumes); diff != "" || !w.updates || w.primary != "ecs-svc/1" {
		t.Errorf("the volumes of %s (-want +got):\n%s", w.primary, diff)
	}
	want := map[string]string{originalTag + "models": "size=10 type=gp3", appliedTag + "models": "snap-2 snap-1"}
	if diff := cmp.Diff(want, w.tags); diff != "" {
		t.Errorf("the tags (-want +got):\n%s", diff)
	}
	if plan.InPlace != "snap-1" || plan.TakenBackBy != "" || !plan.Health.Proven {
		t.Errorf("plan %+v", plan)
	}
	if diff := cmp.Diff([]binding.Pool{{Name: "llm", Current: 2, Staying: 2}}, plan.Pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

func TestPlanWhileECSIsAtWork(t *testing.T) {
	late, soon := began.Add(time.Hour), began.Add(time.Minute)
	failing := func(o *observation) { deploying(o); o.service.Deployments[0].Failed = 4 }
	goingBack := func(o *observation) {
		deploying(o)
		o.latest.Volumes = []ecs.Volume{volumeOf("snap-2")}
		o.service.Tags[appliedTag+"models"] = "snap-2 snap-1"
	}
	const since = " to ECS service prod/llm since 2026-03-02 09:00 UTC: 0 of 2 tasks run with it"
	cases := map[string]struct {
		reason         string
		o              *observation
		now            time.Time
		busy, progress string
		failed         bool
	}{
		"an older one": {"it is waited for", observed(deploying), soon, "ECS has been deploying snap-1" + since, "ECS has been deploying snap-1" + since, false},
		"for an hour":  {"ECS takes another one in its place", observed(deploying), late, "", "ECS has been deploying snap-1" + since, false},
		"tasks fail, and the trial is over": {
			"ECS tries for ever", observed(failing), began.Add(10 * time.Minute), "",
			"ECS has been deploying snap-1" + since + ", 4 failed one after another", true,
		},
		"tasks fail, and ECS will end it": {
			"the circuit breaker is on", observed(failing, func(o *observation) { o.service.CircuitBreaker = true }), began.Add(10 * time.Minute),
			"ECS has been deploying snap-1" + since + ", 4 failed one after another",
			"ECS has been deploying snap-1" + since + ", 4 failed one after another", false,
		},
		"ECS goes back": {
			"a failure is told when it has come to its end", observed(goingBack), soon, "ECS could not deploy snap-2 to ECS service prod/llm, and is going back",
			"ECS could not deploy snap-2 to ECS service prod/llm, and is going back", false,
		},
		"others, with the same volume": {
			"another image is no update of Larder's", observed(deploying, func(o *observation) { o.latest.Before = [][]ecs.Volume{{volumeOf("snap-1")}} }),
			soon, "ECS service prod/llm has been in a deployment since 2026-03-02 09:00 UTC that is not Larder's, which waits for its end", "", false,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan := c.o.Plan(bound("snap-1"), files, c.now)
			busy := ""
			if plan.Busy != nil {
				busy = plan.Busy.Message
			}
			if busy != c.busy || plan.Progress != c.progress || (plan.Health.Failure != nil) != c.failed {
				t.Errorf("%s: busy %q, progress %q, failure %v; want %q, %q", c.reason, busy, plan.Progress, plan.Health.Failure, c.busy, c.progress)
			}
		})
	}
}

func TestPlanRefusesWhatOnlyOldOrOddServicesAre(t *testing.T) {
	cases := map[string]struct {
		edit         func(*observation)
		reason, says string
	}{
		"an old ARN": {func(o *observation) { o.service.ARN = "arn:aws:ecs:us-west-2:111122223333:service/llm" }, v1alpha1.ReasonUnsupportedTarget,
			"the ARN arn:aws:ecs:us-west-2:111122223333:service/llm of ECS service prod/llm is of the old format, which cannot be tagged"},
		"machines elsewhere": {func(o *observation) { o.service.LaunchType = launchExternal }, v1alpha1.ReasonUnsupportedTarget,
			"ECS service prod/llm runs on machines outside of AWS"},
		"Managed Instances by the launch type": {func(o *observation) { o.service.LaunchType = launchManagedInstances }, v1alpha1.ReasonUnsupportedTarget,
			"ECS service prod/llm runs on ECS Managed Instances, whose volumes"},
		"Windows": {func(o *observation) { o.definition.OperatingSystem = "WINDOWS_SERVER_2022_CORE" }, v1alpha1.ReasonFilesystemMismatch,
			"the tasks of ECS service prod/llm run on WINDOWS_SERVER_2022_CORE, which does not read"},
		"no volume at launch": {func(o *observation) { o.definition.ConfiguredAtLaunch = nil }, v1alpha1.ReasonVolumeNotConfigurable,
			"task definition llm:1 of ECS service prod/llm has no volume models that is configured at launch; none of its volumes is"},
		"a record that somebody changed": {func(o *observation) { o.service.Tags[originalTag+"models"] = "x" }, v1alpha1.ReasonDeviceInvalid,
			"reading tag larder.dev/original-volume-models: \"x\" is no field of a volume of ECS service prod/llm: remove the tag"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan := observed(c.edit).Plan(bound("snap-1"), files, began)
			if p := plan.Problem; p == nil || p.Reason != c.reason || !p.Stalled || !strings.HasPrefix(p.Message, c.says) || plan.Write != nil {
				t.Errorf("problem %+v, want %s: %s", p, c.reason, c.says)
			}
		})
	}
}

func TestPlanWarns(t *testing.T) {
	b := bound("snap-1")
	rate := int32(300)
	b.Spec.Target.ECSService.VolumeInitializationRate = &rate
	o := observed(func(o *observation) { o.definition.Mounted = nil })
	plan := o.Plan(b, binding.Snapshot{ID: "snap-9", SizeGiB: 40, FastRestore: true}, began)
	want := []binding.Warning{
		{Reason: v1alpha1.ReasonDeviceNotMounted, Message: "no container of task definition llm:1 mounts volume models: name it as the " +
			"sourceVolume of a mount point"},
		{Reason: v1alpha1.ReasonNotChecked, Message: "the format of snapshot snap-9 is not known: make sure that it has the format " +
			"Files and an ext4 filesystem without partitions"},
		{Reason: v1alpha1.ReasonRateIgnoresFastRestores, Message: "ecsService.volumeInitializationRate has EBS ignore the fast snapshot " +
			"restores of snap-9: leave one of the two out"},
	}
	if diff := cmp.Diff(want, plan.Warnings); diff != "" || plan.Write == nil {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestPlanLeavesWhatIsInPlace(t *testing.T) {
	said := volumeOf("snap-2")
	said.IOPS = 3000
	for name, edit := range map[string]func(*observation){
		"as it was written": func(o *observation) { o.service.Deployments[0].Volumes = []ecs.Volume{volumeOf("snap-2")} },
		"with IOPS that ECS says of gp3 unasked": func(o *observation) {
			o.service.Deployments[0].Volumes = []ecs.Volume{said}
		},
		"while ECS is putting it there": func(o *observation) { deploying(o); o.latest.Volumes = []ecs.Volume{volumeOf("snap-2")} },
	} {
		t.Run(name, func(t *testing.T) {
			if plan := observed(edit).Plan(bound("snap-1"), files, began); plan.Write != nil || plan.Problem != nil {
				t.Errorf("%+v is written, problem %v", plan.Write, plan.Problem)
			}
		})
	}
}

func TestPlanSaysWhatFailedWhileNobodyLooked(t *testing.T) {
	empty := ecs.Volume{Name: "models", SizeGiB: 10, Type: "gp3", RoleARN: role}
	o := observed(func(o *observation) {
		o.service.Deployments[0].Volumes = []ecs.Volume{empty}
		o.latest.State, o.latest.Reason = ecs.Undone, "the circuit breaker opened"
	})
	snapshot := files
	snapshot.ID = "snap-1"
	plan := o.Plan(bound(""), snapshot, began)
	if p := plan.Health.Failure; p == nil || p.Reason != v1alpha1.ReasonUpdateFailed || plan.InPlace != "snap-1" || plan.Write == nil {
		t.Errorf("the operator ended before it noted that it had asked for snap-1, which failed: %+v", plan)
	}
	o.service.Tags = nil
	if plan := o.Plan(bound(""), snapshot, began); plan.Health.Failure != nil || plan.InPlace != "" || plan.Write == nil {
		t.Errorf("what somebody else asked for before the binding is not its failure: %+v", plan)
	}
}

func TestPlanEnd(t *testing.T) {
	empty := ecs.Volume{Name: "models", SizeGiB: 10, Type: "gp3", RoleARN: role}
	restoring := func(o *observation) {
		deploying(o)
		o.service.Deployments[0].Volumes, o.latest.Volumes = []ecs.Volume{empty}, []ecs.Volume{empty}
		o.latest.Before = [][]ecs.Volume{{volumeOf("snap-1")}}
	}
	never := func(o *observation) { o.service.Tags = nil }
	cases := map[string]struct {
		reason   string
		edit     func(*observation)
		leaves   bool
		now      time.Time
		updates  bool
		untags   bool
		progress bool
	}{
		"Larder's volume":            {"the former one comes back first", func(*observation) {}, false, began, true, false, false},
		"Larder's volume is to stay": {"the record too, for the next binding", func(*observation) {}, true, began, false, false, false},
		"ECS restores":               {"the record is kept until that has come to its end", restoring, false, began, false, false, true},
		"ECS restores for an hour":   {"the service has what it had", restoring, false, began.Add(time.Hour), false, true, true},
		"the former volume":          {"it is restored", func(o *observation) { o.service.Deployments[0].Volumes = []ecs.Volume{empty} }, false, began, false, true, false},
		"never written":              {"nothing is left", never, false, began, false, false, false},
		"a record that somebody changed, and Larder's is to stay": {
			"the binding goes all the same", func(o *observation) { o.service.Tags[originalTag+"models"] = "x" }, true, began, false, false, false,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bound("snap-1")
			if c.leaves {
				b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
			}
			plan := observed(c.edit).PlanEnd(b, c.now)
			w, _ := plan.Write.(*write)
			if w == nil {
				w = &write{}
			}
			if plan.Problem != nil || w.updates != c.updates || (w.untag != nil) != c.untags || (plan.Progress != "") != c.progress {
				t.Errorf("%s: updates %t, untags %v, progress %q, problem %v", c.reason, w.updates, w.untag, plan.Progress, plan.Problem)
			}
			if c.updates {
				if diff := cmp.Diff([]ecs.Volume{empty}, w.volumes); diff != "" {
					t.Errorf("%s (-want +got):\n%s", c.reason, diff)
				}
			}
		})
	}
}
