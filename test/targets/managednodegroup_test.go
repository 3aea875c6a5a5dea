package targets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/managednodegroup"
	"github.com/larder-dev/larder/internal/aws/ami"
	eksclient "github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// updateTime is how long EKS takes in these worlds.
const updateTime = 12 * time.Minute

// groupWorld is a world with the node group web of cluster prod, on the only version of its launch template.
type groupWorld struct {
	*targets.World
	eks *eks.Client
	ec2 *ec2.Client
	// templateID is the launch template's.
	templateID string
	// theirs is a snapshot of others, which another device is made from.
	theirs string
}

func groupOptions() targets.Options {
	return targets.Options{
		AWS: fakeaws.Options{NodeGroupUpdateFor: updateTime},
		Targets: func(p targets.Process) binding.Targets {
			return binding.Targets{&managednodegroup.Target{
				Groups: eksclient.New(p.AWS), Templates: launch.New(p.AWS), Images: ami.New(p.AWS, p.Clock), Bindings: p.Client,
			}}
		},
	}
}

func newGroupWorld(t *testing.T, change func(*fakeaws.NodeGroup)) *groupWorld {
	t.Helper()
	return inGroupWorld(targets.New(t, groupOptions()), change)
}

// inGroupWorld makes the node group, after it was changed, if so.
func inGroupWorld(in *targets.World, change func(*fakeaws.NodeGroup)) *groupWorld {
	in.Helper()
	cfg := in.AWS.Config()
	w := &groupWorld{World: in, eks: eks.NewFromConfig(cfg), ec2: ec2.NewFromConfig(cfg), theirs: in.AWS.AddSnapshot(fakeaws.Snapshot{VolumeSize: 8})}
	made, err := w.ec2.CreateLaunchTemplate(in.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("workers"), LaunchTemplateData: w.data(""),
	})
	w.Must(err)
	w.templateID = aws.ToString(made.LaunchTemplate.LaunchTemplateId)
	group := fakeaws.NodeGroup{Cluster: "prod", Name: "web", TemplateID: w.templateID, TemplateVersion: 1, DesiredSize: 3, MaxSize: 5}
	if change != nil {
		change(&group)
	}
	in.AWS.AddNodeGroup(group)
	return w
}

// data is what a person writes into the template: three devices, of which Larder is to change one.
func (w *groupWorld) data(image string) *ec2types.RequestLaunchTemplateData {
	volume := func(name, snapshot string, size int32) ec2types.LaunchTemplateBlockDeviceMappingRequest {
		device := ec2types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: &name, Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{
			VolumeSize: &size, VolumeType: ec2types.VolumeTypeGp3, Encrypted: aws.Bool(true), DeleteOnTermination: aws.Bool(true),
		}}
		if snapshot != "" {
			device.Ebs.SnapshotId, device.Ebs.Encrypted = &snapshot, nil
		}
		return device
	}
	data := &ec2types.RequestLaunchTemplateData{
		BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{
			volume("/dev/xvda", "", 6), volume("/dev/xvdb", "", 20), volume("/dev/xvdc", w.theirs, 8),
		},
		UserData: aws.String("W3NldHRpbmdzXQ=="),
	}
	if image != "" {
		data.ImageId = &image
	}
	return data
}

func webTarget(edits ...func(*v1alpha1.ManagedNodeGroupTarget)) v1alpha1.Target {
	target := &v1alpha1.ManagedNodeGroupTarget{ClusterName: "prod", NodeGroupName: "web", Device: v1alpha1.Device{Name: "/dev/xvdb"}}
	for _, edit := range edits {
		edit(target)
	}
	return v1alpha1.Target{ManagedNodeGroup: target}
}

// bind has the group boot with a first snapshot, proven, and returns it.
func (w *groupWorld) bind() string {
	w.Helper()
	first := w.Renew(v1alpha1.FormatBottlerocket)
	w.Bind("web", webTarget())
	w.Expect("bound", w.Settle("web"), map[string]string{"Ready": "True Ready", "Applied": "True Applied", "RolledOut": "True NodesCurrent"})
	return first
}

// devices are what the group's version says, device by device, as name=snapshot.
func (w *groupWorld) devices() string {
	w.Helper()
	group, _ := w.AWS.NodeGroup("prod", "web")
	return w.devicesOf(group.TemplateVersion)
}

func (w *groupWorld) devicesOf(version int64) string {
	w.Helper()
	all, err := launch.New(w.AWS.Config()).Versions(w.Context(), w.templateID)
	w.Must(err)
	for _, one := range all {
		if one.Number != version {
			continue
		}
		var devices []string
		for _, device := range one.Devices {
			devices = append(devices, device.Name+"="+device.EBS.SnapshotID)
		}
		return strings.Join(devices, " ")
	}
	w.Fatalf("there is no version %d", version)
	return ""
}

// boots is what devices returns when the images are on a snapshot.
func (w *groupWorld) boots(snapshot string) string {
	return "/dev/xvda= /dev/xvdb=" + snapshot + " /dev/xvdc=" + w.theirs
}

func (w *groupWorld) wantDevices(why, want string) {
	w.Helper()
	if got := w.devices(); got != want {
		w.Errorf("%s: the group boots %s, want %s", why, got, want)
	}
}

// versionsAskedFor are the versions of the template that EKS was asked to go to, with what became of it.
func (w *groupWorld) versionsAskedFor() []string {
	var all []string
	for _, one := range w.AWS.NodeGroupUpdates("prod", "web") {
		all = append(all, one.TemplateVersion+" "+one.Status)
	}
	return all
}

func (w *groupWorld) wantUpdates(why string, want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, w.versionsAskedFor()); diff != "" {
		w.Errorf("%s: updates (-want +got):\n%s", why, diff)
	}
}

func TestNodeGroupLife(t *testing.T) {
	w := newGroupWorld(t, nil)
	first := w.bind()
	w.wantDevices("bound", w.boots(first))
	second := w.Renew(v1alpha1.FormatBottlerocket)
	b := w.SettleUntil("web", "the second is proven", func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.LastKnownGoodSnapshotID == second && b.Status.LastKnownGoodProven
	})
	w.Expect("renewed", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	w.wantDevices("renewed", w.boots(second))
	w.Unbind("web")
	if b := w.Settle("web"); b != nil {
		t.Errorf("the binding stays: %+v", b.Status)
	}
	w.Wait(updateTime)
	w.wantDevices("unbound", w.boots(""))
	w.wantUpdates("in all", "2 Successful", "3 Successful", "4 Successful")
	if left := w.MadeOf(launch.Reference{ID: w.templateID}, "/dev/xvdb"); len(left) > 0 {
		t.Errorf("versions that nothing launches still name %v", left)
	}
	for _, one := range w.AWS.NodeGroupUpdates("prod", "web") {
		if one.KubernetesVersion != "1.34" || one.ReleaseVersion != "1.49.0-0a1b2c3d" || one.Force {
			t.Errorf("update %+v moved the AMI, or was forced", one)
		}
	}
}

func TestNodeGroupProgress(t *testing.T) {
	w := newGroupWorld(t, nil)
	first := w.Renew(v1alpha1.FormatBottlerocket)
	w.Bind("web", webTarget())
	b := w.Pass("web")
	if b.Status.AppliedSnapshotID != first {
		t.Errorf("applied %q", b.Status.AppliedSnapshotID)
	}
	b = w.Pass("web")
	w.Expect("while EKS is at work", b, map[string]string{"Applied": "True Applied", "RolledOut": "False UpdateInProgress"})
	if b.Status.LastKnownGoodProven {
		t.Error("proven before EKS is done")
	}
}

func TestNodeGroupWithACustomAMI(t *testing.T) {
	w := newGroupWorld(t, nil)
	w.AWS.AddImage(fakeaws.Image{
		ID: "ami-0123456789abcdef0", Name: "bottlerocket-aws-k8s-1.33-x86_64-v1.50.0-5ed15786", Architecture: "x86_64", RootDevice: "/dev/xvda",
	})
	_, err := w.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &w.templateID, LaunchTemplateData: w.data("ami-0123456789abcdef0"),
	})
	w.Must(err)
	w.AWS.RemoveNodeGroup("prod", "web")
	w.AWS.AddNodeGroup(fakeaws.NodeGroup{
		Cluster: "prod", Name: "web", TemplateID: w.templateID, TemplateVersion: 2, DesiredSize: 1, MaxSize: 1, AMIType: "CUSTOM",
		ReleaseVersion: "ami-0123456789abcdef0", CapacityType: "CAPACITY_BLOCK", UpdateStrategy: "MINIMAL",
	})
	w.wantDevices("bound", w.boots(""))
	first := w.bind()
	w.wantDevices("bound", w.boots(first))
	if group, _ := w.AWS.NodeGroup("prod", "web"); group.ReleaseVersion != "ami-0123456789abcdef0" || group.UpdateStrategy != "MINIMAL" {
		t.Errorf("group %+v", group)
	}
}

// TestNodeGroupUpdateFails has EKS go back by itself: Larder writes nothing, and tells why.
func TestNodeGroupUpdateFails(t *testing.T) {
	w := newGroupWorld(t, nil)
	first := w.bind()
	w.AWS.FailNextUpdate("prod", "web", fakeaws.NodeGroupIssue{
		Code: "PodEvictionFailure", Message: "Reached max retries while trying to evict pods from nodes in node group web", ResourceIDs: []string{"ip-10-0-0-1"},
	})
	second := w.Renew(v1alpha1.FormatBottlerocket)
	w.SettleUntil("web", "the second is asked for", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
	b := w.SettleUntil("web", "it is taken back", targets.Is("Applied", "False RolledBack"))
	if b.Status.AppliedSnapshotID != first || b.Status.RejectedSnapshotID != second {
		t.Errorf("applied %s, rejected %s", b.Status.AppliedSnapshotID, b.Status.RejectedSnapshotID)
	}
	const because = "UpdateFailed: EKS could not update EKS node group prod/web to version 3 of launch template "
	const eviction = ", since PodEvictionFailure: Reached max retries while trying to evict pods from nodes in node group web (ip-10-0-0-1): " +
		"some pods were not evicted in time, mostly for a PodDisruptionBudget: let it allow an eviction, or set target.managedNodeGroup.force"
	if got := b.Status.RejectedBecause; !strings.HasPrefix(got, because) || !strings.HasSuffix(got, eviction) {
		t.Errorf("rejected because %s", got)
	}
	w.wantDevices("EKS went back", w.boots(first))
	w.Settle("web")
	w.wantUpdates("once", "2 Successful", "3 Failed")

	w.Ask("web", "the budget is mended")
	w.SettleUntil("web", "the second is proven", func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.LastKnownGoodSnapshotID == second && b.Status.LastKnownGoodProven
	})
	w.wantUpdates("asked again", "2 Successful", "3 Failed", "3 Successful")
	w.wantDevices("asked again", w.boots(second))
}

func TestNodeGroupFirstUpdateFails(t *testing.T) {
	w := newGroupWorld(t, nil)
	w.AWS.FailNextUpdate("prod", "web", fakeaws.NodeGroupIssue{Code: "NodeCreationFailure", Message: "Instances failed to join the kubernetes cluster"})
	first := w.Renew(v1alpha1.FormatBottlerocket)
	w.Bind("web", webTarget())
	b := w.SettleUntil("web", "it is taken back", targets.Is("Applied", "False RolledBack"))
	if b.Status.AppliedSnapshotID != "" || b.Status.RejectedSnapshotID != first {
		t.Errorf("applied %s, rejected %s", b.Status.AppliedSnapshotID, b.Status.RejectedSnapshotID)
	}
	w.Settle("web")
	w.wantUpdates("once", "2 Failed")
	w.wantDevices("EKS went back", w.boots(""))
}

// TestNodeGroupRestorationFails has EKS not give the device back: that is not tried again by itself, and the binding waits.
func TestNodeGroupRestorationFails(t *testing.T) {
	w := newGroupWorld(t, nil)
	w.bind()
	w.AWS.FailNextUpdate("prod", "web", fakeaws.NodeGroupIssue{Code: "PodEvictionFailure", Message: "Reached max retries"})
	w.Unbind("web")
	b := w.SettleUntil("web", "it waits for a person", targets.Is("Applied", "Unknown UpdateFailed"))
	const told = "the deletion waits, and with it the restoration of /dev/xvdb of EKS node group prod/web, since the last attempt at it failed, " +
		"and none is made by itself: EKS could not update EKS node group prod/web to version 3 of launch template "
	if got := targets.Message(b, "Applied"); !strings.HasPrefix(got, told) {
		t.Errorf("told %s", got)
	}
	w.Settle("web")
	w.wantUpdates("once", "2 Successful", "3 Failed")
	w.Ask("web", "now")
	if b := w.Settle("web"); b != nil {
		t.Errorf("the binding stays: %+v", b.Status)
	}
	w.wantUpdates("asked again", "2 Successful", "3 Failed", "3 Successful")
	w.wantDevices("given back", w.boots(""))
}

// TestNodeGroupDegradesOnTrial has the group fall ill after the update: the former devices come back in a new version.
func TestNodeGroupDegradesOnTrial(t *testing.T) {
	w := newGroupWorld(t, nil)
	first := w.bind()
	second := w.Renew(v1alpha1.FormatBottlerocket)
	w.SettleUntil("web", "the second is on trial", func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.AppliedSnapshotID == second && b.Status.HealthySince != nil
	})
	w.AWS.SetNodeGroupHealth("prod", "web", "DEGRADED", fakeaws.NodeGroupIssue{Code: "NodeCreationFailure", Message: "Unhealthy nodes in the kubernetes cluster", ResourceIDs: []string{"i-1"}})
	b := w.SettleUntil("web", "it is taken back", targets.Is("Applied", "False RolledBack"))
	const want = "TargetDegraded: EKS node group prod/web is DEGRADED since it boots with "
	if !strings.HasPrefix(b.Status.RejectedBecause, want+second+", since NodeCreationFailure: Unhealthy nodes in the kubernetes cluster (i-1)") {
		t.Errorf("rejected because %s", b.Status.RejectedBecause)
	}
	w.Settle("web")
	w.wantUpdates("back by a new version", "2 Successful", "3 Successful", "4 Successful")
	w.wantDevices("back", w.boots(first))
}

// TestNodeGroupThatWasLeft has a binding take over what another left: with the same snapshot no node is replaced for that,
// and its end gives back what was there before the first.
func TestNodeGroupThatWasLeft(t *testing.T) {
	w := newGroupWorld(t, nil)
	first := w.bind()
	w.Edit("web", func(b *v1alpha1.NodeClassBinding) { b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
	w.Unbind("web")
	if b := w.Settle("web"); b != nil {
		t.Fatalf("the binding stays: %+v", b.Status)
	}
	w.Bind("web", webTarget())
	b := w.Settle("web")
	w.Expect("bound again", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	if !b.Status.LastKnownGoodProven {
		t.Error("nodes run with the snapshot, and it is not proven")
	}
	w.wantDevices("bound again", w.boots(first))
	w.wantUpdates("bound again", "2 Successful")
	w.Unbind("web")
	if b := w.Settle("web"); b != nil {
		t.Errorf("the binding stays: %+v", b.Status)
	}
	w.wantDevices("unbound", w.boots(""))
	w.wantUpdates("in all", "2 Successful", "3 Successful")
}

// TestNodeGroupTakenBack has Terraform put its own version back.
func TestNodeGroupTakenBack(t *testing.T) {
	w := newGroupWorld(t, nil)
	first := w.bind()
	w.update("1")
	w.Wait(updateTime)
	b := w.SettleUntil("web", "it is written again", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.Rival != nil })
	if got := b.Status.Rival.Manager; got != "arn:aws:iam::111122223333:user/larder" {
		t.Errorf("the rival is %s", got)
	}
	w.Settle("web")
	w.wantDevices("written again", w.boots(first))
	w.wantUpdates("by the version that is newer still", "2 Successful", "1 Successful", "2 Successful")
}

// update is somebody else's.
func (w *groupWorld) update(version string) {
	w.Helper()
	group, _ := w.AWS.NodeGroup("prod", "web")
	_, err := w.eks.UpdateNodegroupVersion(w.Context(), &eks.UpdateNodegroupVersionInput{
		ClusterName: aws.String("prod"), NodegroupName: aws.String("web"), Version: &group.Version, ReleaseVersion: &group.ReleaseVersion,
		LaunchTemplate: &ekstypes.LaunchTemplateSpecification{Id: &w.templateID, Version: &version},
	})
	w.Must(err)
}

// crashOptions have EKS be faster, since a story is told more than a hundred times.
func crashOptions() targets.Options {
	options := groupOptions()
	options.AWS.NodeGroupUpdateFor = 2 * time.Minute
	return options
}

func TestNodeGroupEveryCrash(t *testing.T) {
	targets.EveryCrash(t, crashOptions(), func(in *targets.World) {
		w := inGroupWorld(in, nil)
		w.bind()
		second := w.Renew(v1alpha1.FormatBottlerocket)
		w.SettleUntil("web", "the second is proven", func(b *v1alpha1.NodeClassBinding) bool {
			return b.Status.LastKnownGoodSnapshotID == second && b.Status.LastKnownGoodProven
		})
		w.Settle("web")
		w.wantDevices("renewed", w.boots(second))
		w.Unbind("web")
		w.Settle("web")
		w.Wait(updateTime)
		w.wantDevices("unbound", w.boots(""))
		w.wantUpdates("one for each", "2 Successful", "3 Successful", "4 Successful")
	}, func(w *targets.World) {
		if b := w.Binding("web"); b != nil {
			w.Errorf("the binding stays: %+v", b.Status)
		}
	})
}

// TestNodeGroupEveryCrashOfAFailure has an update fail, and another succeed that degrades the group: whenever the operator
// ends, each version is asked for once, the group goes back to what was proven, and at the deletion to what it was.
func TestNodeGroupEveryCrashOfAFailure(t *testing.T) {
	targets.EveryCrash(t, crashOptions(), func(in *targets.World) {
		w := inGroupWorld(in, nil)
		first := w.bind()
		w.AWS.FailNextUpdate("prod", "web", fakeaws.NodeGroupIssue{Code: "PodEvictionFailure", Message: "Reached max retries"})
		w.Renew(v1alpha1.FormatBottlerocket)
		w.SettleUntil("web", "EKS went back", targets.Is("Applied", "False RolledBack"))
		w.wantDevices("EKS went back", w.boots(first))
		third := w.Renew(v1alpha1.FormatBottlerocket)
		w.SettleUntil("web", "the third is on trial", func(b *v1alpha1.NodeClassBinding) bool {
			return b.Status.AppliedSnapshotID == third && b.Status.HealthySince != nil
		})
		w.AWS.SetNodeGroupHealth("prod", "web", "DEGRADED", fakeaws.NodeGroupIssue{Code: "NodeCreationFailure", Message: "Unhealthy nodes"})
		w.SettleUntil("web", "it is taken back", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == first })
		w.Settle("web")
		w.wantDevices("back", w.boots(first))
		if b := w.Binding("web"); !b.Status.LastKnownGoodProven || b.Status.RejectedSnapshotID == "" {
			w.Errorf("the status is %+v", b.Status)
		}
		w.Unbind("web")
		w.Settle("web")
		w.wantDevices("unbound", w.boots(""))
		w.wantUpdates("one for each", "2 Successful", "3 Failed", "4 Successful", "5 Successful", "6 Successful")
	}, func(w *targets.World) {
		if b := w.Binding("web"); b != nil {
			w.Errorf("the binding stays: %+v", b.Status)
		}
	})
}
