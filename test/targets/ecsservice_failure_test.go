package targets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// renewBadly publishes a snapshot that no task starts with, and returns its id.
func (w ecsWorld) renewBadly() string {
	w.Helper()
	id := w.Snapshot(v1alpha1.FormatFiles, 40)
	w.AWS.SetFilesystem(id, "xfs")
	w.Publish(id)
	return id
}

func withoutBreaker(service *ecs.CreateServiceInput) { service.DeploymentConfiguration = nil }

func stoppingBreaker(service *ecs.CreateServiceInput) {
	service.DeploymentConfiguration.DeploymentCircuitBreaker.Rollback = false
}

func TestECSServiceGoesBackFromABadSnapshot(t *testing.T) {
	cases := map[string]struct {
		reason   string
		edit     func(*ecs.CreateServiceInput)
		rollouts int
		says     string
	}{
		"ECS goes back itself": {
			"the circuit breaker was asked to roll back, so nothing is left to write", func(*ecs.CreateServiceInput) {}, 3,
			"ECS gave up deploying BAD to ECS service prod/llm: Service deployment rolled back because the circuit breaker threshold " +
				"was exceeded.; ECS said: (service llm) was unable to start a task. Reason: Failed to mount the volume of snapshot " +
				"'BAD' as ext4.",
		},
		"ECS stops": {
			"the circuit breaker leaves the service as it is", stoppingBreaker, 4,
			"ECS gave up deploying BAD to ECS service prod/llm: Service deployment stopped because the circuit breaker threshold was " +
				"exceeded.; ECS said: (service llm) was unable to start a task. Reason: Failed to mount the volume of snapshot 'BAD' " +
				"as ext4.",
		},
		"ECS tries for ever": {
			"there is no circuit breaker, so rollback.after ends it", withoutBreaker, 4,
			"no task of ECS service prod/llm has started with BAD since ",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newECS(t, c.edit)
			good := w.Renew(v1alpha1.FormatFiles)
			w.bind()
			w.Settle("models")
			bad := w.renewBadly()
			b := w.Settle("models")
			w.Expect(c.reason, b, map[string]string{
				v1alpha1.ConditionReady: "False RolledBack", v1alpha1.ConditionApplied: "False RolledBack",
				v1alpha1.ConditionRolledOut: "True NodesCurrent",
			})
			if b.Status.AppliedSnapshotID != good || b.Status.RejectedSnapshotID != bad || *w.volume().SnapshotId != good {
				t.Errorf("%s: applied %s and rejected %s, want %s and %s", c.reason, b.Status.AppliedSnapshotID, b.Status.RejectedSnapshotID, good, bad)
			}
			says := strings.ReplaceAll(c.says, "BAD", bad)
			if !strings.HasPrefix(b.Status.RejectedBecause, "UpdateFailed: "+says) {
				t.Errorf("%s: it says %q, want %q", c.reason, b.Status.RejectedBecause, says)
			}
			if got := w.rollouts(); got != c.rollouts {
				t.Errorf("%s: %d deployments, want %d", c.reason, got, c.rollouts)
			}
			third := w.Renew(v1alpha1.FormatFiles)
			w.Expect("a newer one is tried by itself", w.Settle("models"), map[string]string{v1alpha1.ConditionReady: "True Ready"})
			if *w.volume().SnapshotId != third {
				t.Errorf("the volume names %s, want %s", *w.volume().SnapshotId, third)
			}
		})
	}
}

func TestECSServiceWhoseFirstSnapshotIsBadHasItsVolumeBack(t *testing.T) {
	for name, edit := range map[string]func(*ecs.CreateServiceInput){
		"by ECS": func(*ecs.CreateServiceInput) {}, "by Larder": withoutBreaker,
	} {
		t.Run(name, func(t *testing.T) {
			w := newECS(t, edit)
			w.renewBadly()
			w.bind()
			w.Expect("the first one fails", w.Settle("models"), map[string]string{
				v1alpha1.ConditionReady: "False RolledBack", v1alpha1.ConditionApplied: "False RolledBack",
			})
			w.wantFormer("nothing of Larder's is left to go back to")
			w.Unbind("models")
			if left := w.Settle("models"); left != nil {
				t.Fatalf("the binding is still there: %+v", left.Status)
			}
			w.wantFormer("the binding is gone")
			w.wantNoTags("the binding is gone")
		})
	}
}

func TestECSServiceTriesARejectedSnapshotAgainWhenAsked(t *testing.T) {
	w := newECS(t)
	good := w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Settle("models")
	bad := w.renewBadly()
	w.Settle("models")
	if *w.volume().SnapshotId != good {
		t.Fatalf("the volume names %s, want %s", *w.volume().SnapshotId, good)
	}
	w.AWS.SetFilesystem(bad, "ext4")
	w.Ask("models", "1")
	w.Expect("it was mended", w.Settle("models"), map[string]string{v1alpha1.ConditionReady: "True Ready"})
	if *w.volume().SnapshotId != bad {
		t.Errorf("the volume names %s, want %s", *w.volume().SnapshotId, bad)
	}
}

func TestECSServiceIsLeftAloneWhileOthersDeploy(t *testing.T) {
	w := newECS(t, withoutBreaker)
	first := w.Renew(v1alpha1.FormatFiles)
	broken := w.AWS.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
	w.AWS.SetFilesystem(broken, "ntfs")
	w.deploy(func(in *ecs.UpdateServiceInput) {
		volume := emptyVolume()
		volume.ManagedEBSVolume.SnapshotId = &broken
		in.VolumeConfigurations = []types.ServiceVolumeConfiguration{volume}
	})
	w.bind()
	w.Expect("somebody deploys", w.Pass("models"), map[string]string{v1alpha1.ConditionApplied: "False UpdateInProgress"})
	w.Wait(time.Hour)
	b := w.Pass("models")
	w.Expect("for an hour", b, map[string]string{
		v1alpha1.ConditionApplied: "False UpdateInProgress", v1alpha1.ConditionStalled: "True UpdateInProgress",
	})
	says := first + " is not written to models of ECS service prod/llm while the platform is changing it: ECS service prod/llm has been in a " +
		"deployment since 2026-03-02 10:00 UTC that is not Larder's, which waits for its end; that is more than an hour: see why its tasks do " +
		"not start, or end it with aws ecs stop-service-deployment; no snapshot of this binding is in use yet"
	if got := targets.Message(b, v1alpha1.ConditionApplied); got != says {
		t.Errorf("it says %q, want %q", got, says)
	}
	if got := w.Mutations(); len(got) > 0 {
		t.Errorf("meanwhile Larder wrote: %v", got)
	}
	w.deploy(func(in *ecs.UpdateServiceInput) {
		in.VolumeConfigurations = []types.ServiceVolumeConfiguration{emptyVolume()}
	})
	w.Expect("it is over", w.Settle("models"), map[string]string{v1alpha1.ConditionReady: "True Ready"})
}

func TestECSServiceKeepsTheVolumeWhenItsOwnerDeploysAnotherImage(t *testing.T) {
	w := newECS(t)
	id := w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Settle("models")
	w.register("models")
	w.deploy(func(in *ecs.UpdateServiceInput) { in.TaskDefinition = aws.String("llm") })
	before := len(w.Mutations())
	b := w.Settle("models")
	w.Expect("the volume stays", b, map[string]string{v1alpha1.ConditionReady: "True Ready"})
	if *w.volume().SnapshotId != id || len(w.Mutations()) != before {
		t.Errorf("the volume names %s, want %s, and Larder wrote %v", *w.volume().SnapshotId, id, w.Mutations()[before:])
	}
}

func TestECSServiceIsTakenBackByAnother(t *testing.T) {
	w := newECS(t)
	id := w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Settle("models")
	for range 4 {
		w.deploy(func(in *ecs.UpdateServiceInput) {
			in.VolumeConfigurations = []types.ServiceVolumeConfiguration{emptyVolume()}
		})
		w.Settle("models")
	}
	b := w.Binding("models")
	w.Expect("Larder gives in", b, map[string]string{
		v1alpha1.ConditionApplied: "False RivalWriter", v1alpha1.ConditionStalled: "True RivalWriter",
	})
	const says = "another user of AWS took back models of ECS service prod/llm 4 times, so Larder stopped writing it: in Terraform, " +
		"add lifecycle { ignore_changes = [volume_configuration] } to the aws_ecs_service of ECS service prod/llm, and " +
		`ignore_tags { key_prefixes = ["larder.dev/"] } to the provider`
	if got := targets.Message(b, v1alpha1.ConditionApplied); !strings.HasPrefix(got, says) {
		t.Errorf("it says %q, want %q", got, says)
	}
	w.Ask("models", "1")
	w.Expect("a person asks", w.Settle("models"), map[string]string{v1alpha1.ConditionReady: "True Ready"})
	if *w.volume().SnapshotId != id {
		t.Errorf("the volume names %s, want %s", *w.volume().SnapshotId, id)
	}
	w.Unbind("models")
	w.Settle("models")
	w.wantFormer("the binding is gone")
}

func TestECSServiceIsLeftWithTheVolume(t *testing.T) {
	w := newECS(t)
	id := w.Renew(v1alpha1.FormatFiles)
	w.bind(func(b *v1alpha1.NodeClassBinding) { b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
	w.Settle("models")
	w.Unbind("models")
	if left := w.Settle("models"); left != nil {
		t.Fatalf("the binding is still there: %+v", left.Status)
	}
	if got := w.volume(); *got.SnapshotId != id || w.rollouts() != 2 {
		t.Errorf("the volume names %s, want %s; deployed %d times", *got.SnapshotId, id, w.rollouts())
	}
	// The next binding gives back what was there before the first: what was left is a snapshot that will be deleted one day.
	id = w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Settle("models")
	if got := w.volume(); *got.SnapshotId != id {
		t.Errorf("the volume names %s, want %s", *got.SnapshotId, id)
	}
	w.Unbind("models")
	if left := w.Settle("models"); left != nil {
		t.Fatalf("the next binding is still there: %+v", left.Status)
	}
	w.wantFormer("the next binding is gone")
	w.wantNoTags("the next binding is gone")
}

func TestECSServiceThatIsDeletedLetsTheBindingGo(t *testing.T) {
	w := newECS(t)
	w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Settle("models")
	_, err := w.ecs.DeleteService(w.Context(), &ecs.DeleteServiceInput{
		Cluster: aws.String("prod"), Service: aws.String("llm"), Force: aws.Bool(true),
	})
	w.Must(err)
	b := w.Pass("models")
	w.Expect("it drains", b, map[string]string{v1alpha1.ConditionPreflightPassed: "False TargetDegraded"})
	b = w.Settle("models")
	w.Expect("it is gone", b, map[string]string{v1alpha1.ConditionPreflightPassed: "False TargetMissing"})
	w.Unbind("models")
	if left := w.Settle("models"); left != nil {
		t.Errorf("the binding is still there: %+v", left.Status)
	}
}

func TestECSServiceWhoseFormerVolumeCannotBeHadKeepsLarders(t *testing.T) {
	w := inECS(targets.New(t, ecsOptions))
	own := w.AWS.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
	w.createService(func(in *ecs.CreateServiceInput) {
		volumeOf(in).SnapshotId, volumeOf(in).FilesystemType = &own, types.TaskFilesystemTypeExt4
	})
	id := w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Settle("models")
	w.AWS.SetFilesystem(own, "xfs")
	w.Unbind("models")
	b := w.SettleUntil("models", "the restoration fails", targets.Is(v1alpha1.ConditionStalled, "True UpdateFailed"))
	says := "ECS gave up deploying " + own + " to ECS service prod/llm: Service deployment rolled back because the circuit breaker " +
		"threshold was exceeded."
	if got := targets.Message(b, v1alpha1.ConditionStalled); !strings.Contains(got, says) || *w.volume().SnapshotId != id {
		t.Errorf("the volume names %s, and it says %q, want %q", *w.volume().SnapshotId, got, says)
	}
	before := w.rollouts()
	w.Wait(time.Hour)
	w.Pass("models")
	if got := w.rollouts(); got != before {
		t.Errorf("it was tried again unasked: %d deployments, %d before", got, before)
	}
	w.AWS.SetFilesystem(own, "ext4")
	w.Ask("models", "1")
	if left := w.Settle("models"); left != nil || *w.volume().SnapshotId != own {
		t.Errorf("the volume names %s, want %s, and the binding goes: %+v", *w.volume().SnapshotId, own, left)
	}
	w.wantNoTags("the binding is gone")
}
