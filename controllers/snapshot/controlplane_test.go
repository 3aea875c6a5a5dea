package snapshot

import (
	"fmt"
	"maps"
	"net"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/controlplane"
)

// TestOnAPIServer runs all that needs a real API server at one of them, with the operator's generated rights.
func TestOnAPIServer(t *testing.T) {
	plane := controlplane.Start(t)
	config := plane.Operator(t)
	asOperator, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	scenarios := map[string]func(*testing.T, *operator){
		"from nothing to Ready":           testLifecycle,
		"spec changed after Ready":        testSpecChanged,
		"spec changed during a build":     testSpecChangedDuringBuild,
		"kept while in use":               testKeptWhileInUse,
		"deleted during a build":          testDeletedDuringBuild,
		"deleted behind our back":         testDeletedBehindOurBack,
		"an image lacks one of platforms": testPlatformPartlyMissing,
		"status written by someone else":  testConflict,
		"all mistakes are told at once":   testAllImagesReported,
	}
	maps.Copy(scenarios, freshnessScenarios)
	maps.Copy(scenarios, controlScenarios)
	maps.Copy(scenarios, besideScenarios)
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) { scenario(t, newOperator(t, plane, asOperator)) })
	}
	t.Run("bad input", func(t *testing.T) { testBadInput(t, plane, asOperator) })
	t.Run("manager", func(t *testing.T) { testManager(t, plane, config) })
}

func testLifecycle(t *testing.T, o *operator) {
	o.create("a", "b")
	building := o.untilReason(larderv1alpha1.ReasonBuilding)
	o.wantRead(building, status.InProgressStatus)
	completing := o.untilReason(larderv1alpha1.ReasonPending)
	o.wantRead(completing, status.InProgressStatus)
	if build := completing.Status.Build; build.Step != larderv1alpha1.BuildCompleting || build.SnapshotID == "" {
		t.Errorf("what EBS completes is not recorded: %+v", build)
	}
	ready := o.untilReady()
	o.wantRead(ready, status.CurrentStatus)
	if ready.Status.Build != nil || ready.Status.Revision != 1 || ready.Status.Region != "eu-central-1" {
		t.Errorf("status of a ready object: %+v", ready.Status)
	}
	if got := ready.Status.VolumeSize.String(); got != "8Gi" {
		t.Errorf("volumeSize: got %s, want 8Gi", got)
	}
	if diff := cmp.Diff([]string{ready.Status.SnapshotID + " completed"}, sortedIDs(o)); diff != "" {
		t.Errorf("snapshots in AWS (-want +got):\n%s", diff)
	}
	o.delete()
	o.untilGone()
}

func testSpecChanged(t *testing.T, o *operator) {
	o.create("a")
	first := o.untilReady()
	first.Spec = specOf("a", "b")
	if err := o.admin.Update(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	building := o.untilReason(larderv1alpha1.ReasonBuilding)
	o.wantRead(building, status.InProgressStatus)
	if building.Status.SnapshotID != first.Status.SnapshotID || building.Status.Build.Revision != 2 {
		t.Errorf("the old snapshot stays while revision 2 is built: %+v", building.Status)
	}
	second := o.untilReady()
	if second.Status.SnapshotID == first.Status.SnapshotID || second.Status.Revision != 2 || len(second.Status.Images) != 2 {
		t.Errorf("want revision 2 with two images: %+v", second.Status)
	}
	if got := len(o.cloud.all()); got != 2 {
		t.Errorf("superseded revisions stay until the object is deleted: want 2 snapshots, got %d", got)
	}
	second.Spec = specOf("a")
	if err := o.admin.Update(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	back := o.until("the first snapshot again", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.ObservedGeneration == object.Generation && object.Status.SnapshotID == first.Status.SnapshotID
	})
	o.wantRead(back, status.CurrentStatus)
	o.delete()
	o.untilGone()
}

func testSpecChangedDuringBuild(t *testing.T, o *operator) {
	release := o.blockBuilds("write")
	o.create("a")
	object := o.until("writing", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Build != nil && object.Status.Build.Step == larderv1alpha1.BuildWriting
	})
	object.Spec = specOf("b")
	if err := o.admin.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	release()
	ready := o.untilReady()
	if diff := cmp.Diff([]string{"b"}, o.builder.references(ready.Status.SnapshotID)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{ready.Status.SnapshotID + " completed"}, sortedIDs(o)); diff != "" {
		t.Errorf("the cancelled build's snapshot is gone (-want +got):\n%s", diff)
	}
	o.delete()
	o.untilGone()
}

func testKeptWhileInUse(t *testing.T, o *operator) {
	o.create("a")
	ready := o.untilReady()
	binding := &larderv1alpha1.NodeClassBinding{}
	binding.Name = o.name
	binding.Spec.Snapshot.Ref = &larderv1alpha1.SnapshotReference{Name: o.name}
	binding.Spec.Target.EC2NodeClass = &larderv1alpha1.EC2NodeClassTarget{Name: "gpu", Device: larderv1alpha1.Device{Name: "/dev/xvdb"}}
	binding.Spec.Rollout.Strategy = larderv1alpha1.RolloutRoll
	class := nodeClass(t, o.name, ready.Status.SnapshotID)
	for _, object := range []client.Object{binding, class} {
		if err := o.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	o.delete()
	inUse := o.untilReason(larderv1alpha1.ReasonInUse)
	o.wantRead(inUse, status.TerminatingStatus)
	wantMessage(t, inUse, "nodeclassbinding/"+o.name, "ec2nodeclass/"+o.name)

	if err := o.admin.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	if message := conditionOf(o.object(), larderv1alpha1.ConditionReady).Message; message != "the snapshots are kept until nobody needs them: delete or change ec2nodeclass/"+o.name {
		t.Errorf("only the node class is left: %s", message)
	}
	if len(o.cloud.all()) != 1 {
		t.Error("the snapshot was deleted while a node class names it")
	}
	if err := o.admin.Delete(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	o.untilGone()
}

// nodeClass is an EC2NodeClass that boots from a snapshot on its second device.
func nodeClass(t *testing.T, name, snapshotID string) *unstructured.Unstructured {
	t.Helper()
	class := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"role":                       "nodes",
		"amiSelectorTerms":           []any{map[string]any{"alias": "bottlerocket@latest"}},
		"subnetSelectorTerms":        []any{map[string]any{"tags": map[string]any{"nodes": "yes"}}},
		"securityGroupSelectorTerms": []any{map[string]any{"tags": map[string]any{"nodes": "yes"}}},
		"blockDeviceMappings": []any{
			map[string]any{"deviceName": "/dev/xvda", "ebs": map[string]any{"volumeSize": "6Gi"}},
			map[string]any{"deviceName": "/dev/xvdb", "ebs": map[string]any{"volumeSize": "20Gi", "snapshotID": snapshotID}},
		},
	}}}
	class.SetAPIVersion("karpenter.k8s.aws/v1")
	class.SetKind("EC2NodeClass")
	class.SetName(name)
	return class
}

func testDeletedDuringBuild(t *testing.T, o *operator) {
	release := o.blockBuilds("write")
	o.create("a")
	o.until("writing", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Build != nil && object.Status.Build.Step == larderv1alpha1.BuildWriting
	})
	o.delete()
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	deleting := o.object()
	if reason := conditionOf(deleting, larderv1alpha1.ConditionReady).Reason; reason != larderv1alpha1.ReasonDeleting {
		t.Errorf("reason while the build is stopped: got %s", reason)
	}
	release()
	o.untilGone()
}

func testDeletedBehindOurBack(t *testing.T, o *operator) {
	o.create("a")
	first := o.untilReady()
	o.cloud.remove(first.Status.SnapshotID)
	missing := o.until("it is noticed", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return conditionOf(object, larderv1alpha1.ConditionSnapshotReady).Reason == larderv1alpha1.ReasonSnapshotMissing
	})
	o.wantRead(missing, status.InProgressStatus)
	if missing.Status.SnapshotID != "" {
		t.Errorf("the status still offers %s, which is gone", missing.Status.SnapshotID)
	}
	again := o.untilReady()
	if again.Status.Revision != 2 || again.Status.SnapshotID == first.Status.SnapshotID {
		t.Errorf("want a second revision: %+v", again.Status)
	}
	o.delete()
	o.untilGone()
}

func testPlatformPartlyMissing(t *testing.T, o *operator) {
	o.registry.missing = []string{"linux/arm64"}
	o.create("a")
	object := o.object()
	object.Spec.Platforms = append(object.Spec.Platforms, "linux/arm64")
	if err := o.admin.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	ready := o.untilReady()
	resolved := conditionOf(ready, larderv1alpha1.ConditionImagesResolved)
	if resolved.Status != "True" || resolved.Reason != larderv1alpha1.ReasonPlatformMissing ||
		resolved.Message != "images are cached only for the platforms they have: a has no linux/arm64" {
		t.Errorf("a warning was wanted: %+v", resolved)
	}
	if diff := cmp.Diff([]string{"linux/amd64"}, ready.Status.Images[0].Platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
}

// testConflict lets someone write between our read and our write: nothing may be built on what was read.
func testConflict(t *testing.T, o *operator) {
	o.create("a")
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	o.untilReady()
	before := o.object()
	if err := o.reconciler.patchStatus(t.Context(), before, before.DeepCopy()); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
	stale := before.DeepCopy()
	before.Labels = map[string]string{"touched": "yes"}
	if err := o.admin.Update(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	changed := stale.DeepCopy()
	changed.Status.Revision = 7
	if err := o.reconciler.patchStatus(t.Context(), stale, changed); err == nil {
		t.Error("a status that rests on an old read was written")
	}
}

func testAllImagesReported(t *testing.T, o *operator) {
	o.registry.fault = func(reference string) error {
		switch reference {
		case "b":
			return imageError(reference, image.NotFound)
		case "c":
			return imageError(reference, image.Unreachable)
		}
		return nil
	}
	o.create("a", "b", "c")
	stalled := o.untilReason(larderv1alpha1.ReasonImageNotFound)
	o.wantRead(stalled, status.FailedStatus)
	wantMessage(t, stalled, "spec.images[1]", "image b not found", "spec.images[2]", "image c")
}

// testBadInput has everything that can be wrong from outside: what the condition says, how kstatus reads it, and
// that it heals without an edit once the cause is gone, with nothing left in AWS but the one snapshot.
func testBadInput(t *testing.T, plane *controlplane.ControlPlane, asOperator client.Client) {
	resolving := func(reason image.Reason) func(*operator) {
		return func(o *operator) {
			o.registry.fault = func(reference string) error { return imageError(reference, reason) }
		}
	}
	building := func(err error) func(*operator) {
		return func(o *operator) {
			o.builder.fault = func(step string) error {
				if step == "write" {
					return fmt.Errorf("layer sha256:1 of registry.example/a: %w", err)
				}
				return nil
			}
		}
	}
	looking := func(err error) func(*operator) {
		return func(o *operator) {
			o.cloud.fault = func(call string) error {
				if call == "Find" {
					return fmt.Errorf("finding snapshots by their tags: %w", err)
				}
				return nil
			}
		}
	}
	cases := map[string]struct {
		spoil  func(*operator)
		reason string
		read   status.Status
	}{
		"malformed reference":   {resolving(image.InvalidReference), larderv1alpha1.ReasonInvalidReference, status.FailedStatus},
		"unknown image":         {resolving(image.NotFound), larderv1alpha1.ReasonImageNotFound, status.FailedStatus},
		"unauthorised registry": {resolving(image.Unauthorized), larderv1alpha1.ReasonUnauthorized, status.FailedStatus},
		"forbidden by registry": {resolving(image.Forbidden), larderv1alpha1.ReasonForbidden, status.FailedStatus},
		"no useful pull secret": {func(o *operator) {
			o.registry.secret = &PullSecretError{errDisk}
		}, larderv1alpha1.ReasonInvalidPullSecret, status.FailedStatus},
		"secrets unreadable":    {func(o *operator) { o.registry.secret = errDisk }, larderv1alpha1.ReasonInvalidPullSecret, status.InProgressStatus},
		"no wanted platform":    {resolving(image.PlatformMissing), larderv1alpha1.ReasonPlatformMissing, status.FailedStatus},
		"unsupported image":     {resolving(image.Unsupported), larderv1alpha1.ReasonImageUnsupported, status.FailedStatus},
		"digest mismatch":       {resolving(image.DigestMismatch), larderv1alpha1.ReasonDigestMismatch, status.FailedStatus},
		"unreachable registry":  {resolving(image.Unreachable), larderv1alpha1.ReasonRegistryUnreachable, status.InProgressStatus},
		"registry limits":       {resolving(image.TooManyRequests), larderv1alpha1.ReasonTooManyRequests, status.InProgressStatus},
		"registry fails":        {resolving(image.RegistryError), larderv1alpha1.ReasonRegistryError, status.InProgressStatus},
		"layer that lies":       {building(layer.ErrContent), larderv1alpha1.ReasonInvalidLayer, status.FailedStatus},
		"layer that climbs":     {building(&layer.EntryError{Entry: "../x", Err: errDisk}), larderv1alpha1.ReasonInvalidLayer, status.FailedStatus},
		"layer ext4 can't hold": {building(&ext4.UnstorableError{Path: "/x", Err: errDisk}), larderv1alpha1.ReasonInvalidLayer, status.FailedStatus},
		"layer is gone":         {building(imageError("a", image.NotFound)), larderv1alpha1.ReasonImageNotFound, status.FailedStatus},
		"volume too small":      {building(&volume.TooSmallError{Size: 1, Need: 8}), larderv1alpha1.ReasonVolumeTooSmall, status.FailedStatus},
		"out of blocks":         {building(&ext4.OutOfBlocks{Need: 1}), larderv1alpha1.ReasonVolumeTooSmall, status.FailedStatus},
		"layer too long":        {building(&layer.EntryError{Entry: "x", Err: &layer.LimitError{Limit: 1}}), larderv1alpha1.ReasonVolumeTooSmall, status.FailedStatus},
		"out of inodes":         {building(&ext4.OutOfInodes{Need: 1}), larderv1alpha1.ReasonOutOfInodes, status.FailedStatus},
		"build denied by AWS":   {building(accessDenied()), larderv1alpha1.ReasonAccessDenied, status.FailedStatus},
		"build fails":           {building(errDisk), larderv1alpha1.ReasonBuildFailed, status.InProgressStatus},
		"look-up denied by AWS": {looking(accessDenied()), larderv1alpha1.ReasonAccessDenied, status.FailedStatus},
		"no AWS credentials":    {looking(&larderaws.CredentialsError{Err: errDisk}), larderv1alpha1.ReasonCredentialsMissing, status.FailedStatus},
		"AWS cannot be reached": {looking(&net.DNSError{Err: "no such host"}), larderv1alpha1.ReasonAWSError, status.InProgressStatus},
		"EBS spoils the volume": {func(o *operator) { o.builder.spoil = func() bool { return true } }, larderv1alpha1.ReasonSnapshotFailed, status.InProgressStatus},
		"AWS is not well today": {looking(unavailable("Find")), larderv1alpha1.ReasonAWSError, status.InProgressStatus},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, plane, asOperator)
			tc.spoil(o)
			o.create("a")
			bad := o.untilReason(tc.reason)
			o.wantRead(bad, tc.read)
			if _, err := o.pass(); err == nil && tc.read == status.FailedStatus && bad.Status.ObservedGeneration != bad.Generation {
				t.Error("a stalled object reads as in progress: observedGeneration did not move")
			}
			o.registry.fault, o.registry.secret = nil, nil
			o.cloud.fault = func(string) error { return nil }
			o.builder.fault = func(string) error { return nil }
			o.builder.spoil = func() bool { return false }
			ready := o.untilReady()
			o.wantRead(ready, status.CurrentStatus)
			o.until("leftovers are gone", func(*larderv1alpha1.ImageCacheSnapshot) bool { return len(o.cloud.all()) == 1 })
			o.delete()
			o.untilGone()
		})
	}
}
