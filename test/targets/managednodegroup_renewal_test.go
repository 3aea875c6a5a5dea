package targets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// TestNodeGroupRefusedRenewal has a group that boots a proven snapshot meet what keeps it from the next one: the condition
// says so word for word, the group goes on with the first, and the second comes once a person has mended it, by one version
// and one update.
func TestNodeGroupRefusedRenewal(t *testing.T) {
	ill := fakeaws.NodeGroupIssue{Code: "NodeCreationFailure", Message: "Unhealthy nodes in the kubernetes cluster", ResourceIDs: []string{"i-1"}}
	cases := map[string]struct {
		reason    string
		breaks    func(*groupWorld)
		sizeGiB   int64
		condition string
		want      string
		// message has FIRST and SECOND for the snapshots.
		message string
		mends   func(*groupWorld)
	}{
		"a group that falls ill": {
			reason: "what EKS finds wrong is not the proven snapshot's doing, and an update would not heal it",
			breaks: func(w *groupWorld) { w.AWS.SetNodeGroupHealth("prod", "web", "DEGRADED", ill) }, sizeGiB: 40,
			condition: "PreflightPassed", want: "False TargetDegraded",
			message: "EKS node group prod/web is DEGRADED, since NodeCreationFailure: Unhealthy nodes in the kubernetes cluster (i-1): nodes " +
				"were launched and did not join the cluster: read the console output of one, and see whether it can mount the device: it is not written to until EKS finds it healthy",
			mends: func(w *groupWorld) {
				w.AWS.SetNodeGroupHealth("prod", "web", "ACTIVE")
				w.deleteVersion("2")
			},
		},
		"a template that is full": {
			reason: "Larder deletes no version of others to make room", breaks: func(*groupWorld) {}, sizeGiB: 40,
			condition: "Applied", want: "False LaunchTemplateVersionLimit",
			message: "launch template lt-00000000000000001 has as many versions as AWS allows, by default 10000: delete versions of it that " +
				"nothing launches with; Larder deletes only those that it made",
			mends: func(w *groupWorld) { w.deleteVersion("2") },
		},
		"EKS may not launch for us": {
			reason: "the version is there already, and no other is made for each try",
			breaks: func(w *groupWorld) {
				w.AWS.Inject(fakeaws.Fault{
					Action: "UpdateNodegroupVersion", Kind: fakeaws.Error, Status: 400, Code: "InvalidRequestException",
					Message: "You are not authorized to launch instances with this launch template. Encoded authorization failure message: c2VjcmV0",
				})
				w.deleteVersion("2")
			}, sizeGiB: 40,
			condition: "Applied", want: "False WriteDenied",
			message: "EKS node group prod/web is not updated to version 4 of launch template lt-00000000000000001, since EKS may not launch " +
				"instances with it on Larder's behalf: allow ec2:RunInstances and ec2:CreateTags to Larder's role",
			mends: func(w *groupWorld) { w.AWS.Heal() },
		},
		"a snapshot that is larger than asked": {
			reason: "EC2 makes no volume smaller than its snapshot", breaks: func(w *groupWorld) { w.deleteVersion("2") }, sizeGiB: 90,
			condition: "PreflightPassed", want: "False VolumeSizeTooSmall",
			message: "device.volumeSize 80Gi is below the 90 GiB of snapshot SECOND, and EC2 makes no volume smaller than its snapshot: raise " +
				"it to 90Gi or more, or leave it out",
			mends: func(w *groupWorld) {
				w.Edit("web", func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.ManagedNodeGroup.Device.VolumeSize = nil })
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			options := groupOptions()
			options.AWS.TemplateVersions = 3 // a person's, another one that nothing launches with, and Larder's first
			w := inGroupWorld(targets.New(t, options), nil)
			_, err := w.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &w.templateID, LaunchTemplateData: w.data("")})
			w.Must(err)
			first := w.Renew(v1alpha1.FormatBottlerocket)
			size := resource.MustParse("80Gi")
			w.Bind("web", webTarget(func(g *v1alpha1.ManagedNodeGroupTarget) { g.Device.VolumeSize = &size }))
			w.Settle("web")
			c.breaks(w)
			second := w.Snapshot(v1alpha1.FormatBottlerocket, c.sizeGiB)
			w.Publish(second)
			w.SettleUntil("web", "it says why", targets.Is(c.condition, c.want))
			w.Wait(time.Hour) // it stays so
			b := w.Pass("web")
			w.Expect(c.reason, b, map[string]string{c.condition: c.want})
			want := strings.NewReplacer("FIRST", first, "SECOND", second).Replace(c.message)
			if got := targets.Message(b, c.condition); got != want {
				t.Errorf("it says\n%s\nand should say\n%s", got, want)
			}
			w.wantDevices(c.reason, w.boots(first))
			w.wantUpdates(c.reason, "3 Successful")
			if b.Status.AppliedSnapshotID != first || b.Status.LastKnownGoodSnapshotID != first || b.Status.RejectedSnapshotID != "" {
				t.Errorf("%s: %s is applied, %s good and %s rejected, want %s", c.reason, b.Status.AppliedSnapshotID,
					b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, first)
			}
			c.mends(w)
			w.SettleUntil("web", "the second is proven", func(b *v1alpha1.NodeClassBinding) bool {
				return b.Status.LastKnownGoodSnapshotID == second && b.Status.LastKnownGoodProven
			})
			w.wantDevices("mended", w.boots(second))
			w.wantUpdates("one for each", "3 Successful", "4 Successful")
		})
	}
}

// deleteVersion deletes a version of the template, as a person does.
func (w *groupWorld) deleteVersion(version string) {
	w.Helper()
	_, err := w.ec2.DeleteLaunchTemplateVersions(w.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: aws.String(w.templateID), Versions: []string{version}})
	w.Must(err)
}
