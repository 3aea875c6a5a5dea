package targets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// ecsRenewals are what keeps a service whose tasks run with a proven snapshot from the next one.
var ecsRenewals = map[string]struct {
	reason string
	// sizeGiB and format are the second snapshot's.
	sizeGiB int64
	format  v1alpha1.Format
	breaks  func(ecsWorld)
	// condition is the one that says want; SECOND in it is the snapshot.
	condition, want string
	// mends has the second come; nil when only another snapshot does.
	mends func(ecsWorld)
}{
	"a snapshot that is larger than asked": {
		reason: "EC2 makes no volume smaller than its snapshot", sizeGiB: 90, format: v1alpha1.FormatFiles,
		condition: v1alpha1.ConditionPreflightPassed,
		want: "VolumeSizeTooSmall: ecsService.volumeSize 80Gi is below the 90 GiB of snapshot SECOND, and EC2 makes no volume smaller than its " +
			"snapshot: raise it to 90Gi or more, or leave it out",
		mends: func(w ecsWorld) {
			w.Edit("models", func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.ECSService.VolumeSize = nil })
		},
	},
	"a filesystem that the snapshot does not have": {
		reason: "no task would start", sizeGiB: 40, format: v1alpha1.FormatFiles,
		breaks: func(w ecsWorld) {
			w.Edit("models", func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.ECSService.FilesystemType = "xfs" })
		},
		condition: v1alpha1.ConditionPreflightPassed,
		want: "FilesystemMismatch: ecsService.filesystemType is xfs, and snapshot SECOND has ext4: the tasks of ECS service prod/llm would not " +
			"start; set it to ext4, or leave it out",
		mends: func(w ecsWorld) {
			w.Edit("models", func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.ECSService.FilesystemType = "" })
		},
	},
	"a snapshot for nodes": {
		reason: "tasks find no files on it", sizeGiB: 40, format: v1alpha1.FormatContainerd, condition: v1alpha1.ConditionPreflightPassed,
		want: "FormatMismatch: snapshot SECOND has the format Containerd, which is for nodes, and the tasks of ECS service prod/llm read files: " +
			"bind a snapshot of the format Files",
	},
	"another volume name": {
		reason: "the volume that has the first is let alone by a name that nothing has", sizeGiB: 40, format: v1alpha1.FormatFiles,
		breaks: func(w ecsWorld) {
			w.register("weights")
			w.deploy(func(in *ecs.UpdateServiceInput) {
				in.TaskDefinition = aws.String("llm")
				volume := emptyVolume()
				volume.Name = aws.String("weights")
				in.VolumeConfigurations = append(in.VolumeConfigurations, volume)
			})
			w.Wait(time.Hour)
		},
		condition: v1alpha1.ConditionPreflightPassed,
		want: "VolumeNotConfigurableAtLaunch: task definition llm:2 of ECS service prod/llm has no volume models that is configured at launch; " +
			"weights is: register a revision whose volume models has configuredAtLaunch, or name another volume",
		mends: func(w ecsWorld) {
			w.register("models")
			w.deploy(func(in *ecs.UpdateServiceInput) {
				in.TaskDefinition = aws.String("llm")
				in.VolumeConfigurations = append(in.VolumeConfigurations, emptyVolume())
			})
			w.Wait(time.Hour)
		},
	},
	"an update that is denied": {
		reason: "the tags alone change nothing", sizeGiB: 40, format: v1alpha1.FormatFiles,
		breaks: func(w ecsWorld) { w.AWS.Inject(fakeaws.Fault{Action: "UpdateService", Kind: fakeaws.Denied}) }, condition: v1alpha1.ConditionApplied,
		want: "WriteDenied: the operator may not write ECS service prod/llm: allow its role ecs:UpdateService, ecs:TagResource and " +
			"ecs:UntagResource on arn:aws:ecs:us-west-2:111122223333:service/prod/llm, and iam:PassRole on the infrastructure role of its " +
			"volume; AccessDeniedException: User: arn:aws:iam::111122223333:user/larder is not authorized to perform: ecs:UpdateService",
		mends: func(w ecsWorld) { w.AWS.Heal() },
	},
}

// TestECSServiceRefusedRenewal: the condition says so word for word, nothing is deployed, the first stays applied, and the
// second comes once a person has mended it, by one deployment.
func TestECSServiceRefusedRenewal(t *testing.T) {
	for name, c := range ecsRenewals {
		t.Run(name, func(t *testing.T) {
			w := newECS(t)
			first := w.Renew(v1alpha1.FormatFiles)
			w.bind(func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.ECSService.VolumeSize = quantity("80Gi") })
			w.Settle("models")
			if c.breaks != nil {
				c.breaks(w)
			}
			before, volumes := w.rollouts(), w.service().Deployments[0].VolumeConfigurations
			second := w.Snapshot(c.format, c.sizeGiB)
			w.Publish(second)
			reason, message, _ := strings.Cut(strings.ReplaceAll(c.want, "SECOND", second), ": ")
			w.SettleUntil("models", "it says why", targets.Is(c.condition, "False "+reason))
			w.Wait(time.Hour) // it stays so
			b := w.Pass("models")
			w.Expect(c.reason, b, map[string]string{c.condition: "False " + reason, v1alpha1.ConditionReady: "False " + reason})
			if got := targets.Message(b, c.condition); got != message {
				t.Errorf("it says\n%s\nand should say\n%s", got, message)
			}
			if diff := cmp.Diff(volumes, w.service().Deployments[0].VolumeConfigurations, ignoreSerde); diff != "" || w.rollouts() != before {
				t.Errorf("%s: half applied in %d deployments (-want +got):\n%s", c.reason, w.rollouts()-before, diff)
			}
			if b.Status.AppliedSnapshotID != first || b.Status.LastKnownGoodSnapshotID != first || b.Status.RejectedSnapshotID != "" {
				t.Errorf("%s: %s is applied, %s good and %s rejected, want %s", c.reason, b.Status.AppliedSnapshotID,
					b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, first)
			}
			if c.mends == nil {
				return
			}
			c.mends(w)
			before = w.rollouts()
			w.Expect("mended", w.Settle("models"), map[string]string{v1alpha1.ConditionReady: "True Ready"})
			if got := *w.volume().SnapshotId; got != second || w.rollouts() != before+1 {
				t.Errorf("mended: tasks run with %s after %d deployments, want %s", got, w.rollouts()-before, second)
			}
		})
	}
}
