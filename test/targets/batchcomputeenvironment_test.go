package targets

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/batchcomputeenvironment"
	"github.com/larder-dev/larder/internal/aws/ami"
	larderbatch "github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// replacing is how long Batch takes to replace all instances.
const replacing = 3 * time.Minute

func batchOptions() Options {
	return Options{
		AWS: fakeaws.Options{ComputeEnvironmentFor: replacing},
		Targets: func(p Process) binding.Targets {
			return binding.Targets{&batchcomputeenvironment.Target{
				Environments: larderbatch.New(p.AWS), Templates: launch.New(p.AWS), Images: ami.New(p.AWS, p.Clock), Bindings: p.Client, Clock: p.Clock,
			}}
		},
	}
}

// batchQueue is a world with a compute environment, "gpu", of 8 vCPUs, whose instances launch with the template "workers", and
// with "gpus" if they are g5.
type batchQueue struct{ *World }

func newBatchQueue(w *World, edits ...func(*batch.CreateComputeEnvironmentInput)) batchQueue {
	w.Helper()
	q := batchQueue{w}
	q.template("workers")
	q.template("gpus")
	in := &batch.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: aws.String("gpu"), Type: types.CETypeManaged,
		ComputeResources: &types.ComputeResource{
			Type: types.CRTypeEc2, AllocationStrategy: types.CRAllocationStrategyBestFitProgressive, MinvCpus: aws.Int32(8), MaxvCpus: aws.Int32(64),
			InstanceTypes: []string{"g5", "m5"}, Subnets: []string{"subnet-1"}, InstanceRole: aws.String("ecsInstanceRole"),
			LaunchTemplate: launchesWith("$Latest", "1"),
		},
	}
	for _, edit := range edits {
		edit(in)
	}
	_, err := batch.NewFromConfig(w.AWS.Config()).CreateComputeEnvironment(w.Context(), in)
	w.Must(err)
	w.Wait(replacing)
	return q
}

// launchesWith names a version of each template.
func launchesWith(workers, gpus string) *types.LaunchTemplateSpecification {
	return &types.LaunchTemplateSpecification{
		LaunchTemplateName: aws.String("workers"), Version: &workers,
		Overrides: []types.LaunchTemplateSpecificationOverride{{LaunchTemplateName: aws.String("gpus"), Version: &gpus, TargetInstanceTypes: []string{"g5"}}},
	}
}

// template makes one of a root device and /dev/xvdb.
func (q batchQueue) template(name string) {
	q.Helper()
	_, err := ec2.NewFromConfig(q.AWS.Config()).CreateLaunchTemplate(q.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(30), VolumeType: ec2types.VolumeTypeGp3}},
			{DeviceName: aws.String("/dev/xvdb"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(25), VolumeType: ec2types.VolumeTypeGp2}},
		}},
	})
	q.Must(err)
}

// version publishes one of a template that is like its first.
func (q batchQueue) version(template string) {
	q.Helper()
	_, err := ec2.NewFromConfig(q.AWS.Config()).CreateLaunchTemplateVersion(q.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: &template, SourceVersion: aws.String("1"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: ec2types.InstanceTypeG5Xlarge},
	})
	q.Must(err)
}

func (q batchQueue) delete(template, version string) {
	q.Helper()
	_, err := ec2.NewFromConfig(q.AWS.Config()).DeleteLaunchTemplateVersions(q.Context(), &ec2.DeleteLaunchTemplateVersionsInput{
		LaunchTemplateName: &template, Versions: []string{version},
	})
	q.Must(err)
}

func (q batchQueue) bind(edits ...func(*v1alpha1.NodeClassBinding)) {
	q.Helper()
	q.Bind("b", v1alpha1.Target{BatchComputeEnvironment: &v1alpha1.BatchComputeEnvironmentTarget{Name: "gpu", Device: v1alpha1.Device{Name: "/dev/xvdb"}}}, edits...)
}

// update is somebody else's.
func (q batchQueue) update(template *types.LaunchTemplateSpecification) {
	q.Helper()
	_, err := batch.NewFromConfig(q.AWS.Config()).UpdateComputeEnvironment(q.Context(), &batch.UpdateComputeEnvironmentInput{
		ComputeEnvironment: aws.String("gpu"), ComputeResources: &types.ComputeResourceUpdate{LaunchTemplate: template},
	})
	q.Must(err)
}

func (q batchQueue) environment() fakeaws.ComputeEnvironment { return q.AWS.ComputeEnvironments()[0] }

// named are the versions that the environment names, its own first.
func (q batchQueue) named() []string {
	q.Helper()
	out, err := batch.NewFromConfig(q.AWS.Config()).DescribeComputeEnvironments(q.Context(), &batch.DescribeComputeEnvironmentsInput{ComputeEnvironments: []string{"gpu"}})
	q.Must(err)
	template := out.ComputeEnvironments[0].ComputeResources.LaunchTemplate
	names := []string{aws.ToString(template.Version)}
	for _, override := range template.Overrides {
		names = append(names, aws.ToString(override.Version))
	}
	return names
}

// volumes are the devices that instances boot with, the environment's own template's first.
func (q batchQueue) volumes() []string {
	q.Helper()
	var all []string
	for _, launched := range q.environment().Launches {
		out, err := ec2.NewFromConfig(q.AWS.Config()).DescribeLaunchTemplateVersions(q.Context(), &ec2.DescribeLaunchTemplateVersionsInput{
			LaunchTemplateId: &launched.TemplateID, Versions: []string{fmt.Sprint(launched.Version)},
		})
		q.Must(err)
		var devices []string
		for _, device := range out.LaunchTemplateVersions[0].LaunchTemplateData.BlockDeviceMappings {
			devices = append(devices, strings.TrimSpace(fmt.Sprintf("%s %s %dGi %s", *device.DeviceName, device.Ebs.VolumeType, *device.Ebs.VolumeSize, aws.ToString(device.Ebs.SnapshotId))))
		}
		all = append(all, strings.Join(devices, ", "))
	}
	return all
}

// latest are the highest numbers that versions of the two templates ever had.
func (q batchQueue) latest() map[string]int64 {
	q.Helper()
	out, err := ec2.NewFromConfig(q.AWS.Config()).DescribeLaunchTemplates(q.Context(), &ec2.DescribeLaunchTemplatesInput{})
	q.Must(err)
	numbers := map[string]int64{}
	for _, template := range out.LaunchTemplates {
		numbers[*template.LaunchTemplateName] = *template.LatestVersionNumber
	}
	return numbers
}

const untouched = "/dev/xvda gp3 30Gi, /dev/xvdb gp2 25Gi"

func bootsWith(snapshot string) []string {
	volume := "/dev/xvda gp3 30Gi, /dev/xvdb gp2 40Gi " + snapshot
	return []string{volume, volume}
}

func (q batchQueue) expectVolumes(why string, want []string) {
	q.Helper()
	if diff := cmp.Diff(want, q.volumes()); diff != "" {
		q.Errorf("%s, instances boot with (-want +got):\n%s", why, diff)
	}
}

func TestBatchWholeLife(t *testing.T) {
	q := newBatchQueue(New(t, batchOptions()))
	first := q.Renew(v1alpha1.FormatFiles)
	q.bind()
	q.SettleUntil("b", "the first is written", Is("Applied", "True Applied"))
	b := q.Pass("b")
	q.Expect("while Batch replaces instances", b, map[string]string{"Ready": "True Ready", "RolledOut": "False UpdateInProgress"})
	b = q.Settle("b")
	q.Expect("with the first", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	q.expectVolumes("with the first", bootsWith(first))
	if !b.Status.LastKnownGoodProven || b.Status.Nodes.Current != 8 {
		t.Errorf("status %+v", b.Status)
	}
	good := q.Renew(v1alpha1.FormatFiles)
	q.SettleUntil("b", "the second is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == good })
	q.Settle("b")
	q.expectVolumes("with the second", bootsWith(good))

	bad := q.Renew(v1alpha1.FormatFiles)
	q.SettleUntil("b", "the third is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == bad })
	q.AWS.BreakComputeEnvironment("gpu", "CLIENT_ERROR - the volume cannot be attached")
	b = q.Settle("b")
	q.Expect("with a bad one", b, map[string]string{"Ready": "False RolledBack", "Stalled": "True RolledBack"})
	q.expectVolumes("back", bootsWith(good))
	if got := Message(b, "Ready"); !strings.Contains(got, bad+" failed (UpdateFailed: compute environment gpu is INVALID since it was updated: "+
		"CLIENT_ERROR - the volume cannot be attached), and new instances boot with "+good+" instead") {
		t.Errorf("message %q", got)
	}
	if got := q.environment(); got.Status != "VALID" {
		t.Errorf("the environment is %+v", got)
	}

	q.Unbind("b")
	if b := q.Settle("b"); b != nil {
		t.Fatalf("the binding is still there: %+v", b.Status)
	}
	q.expectVolumes("in the end", []string{untouched, untouched})
	for _, template := range []string{"workers", "gpus"} {
		if left := q.MadeOf(launch.Reference{Name: template}, "/dev/xvdb"); len(left) > 0 {
			t.Errorf("versions of %s that nothing launches still name %v", template, left)
		}
	}
	if diff := cmp.Diff([]string{"$Latest", "6"}, q.named()); diff != "" {
		t.Errorf("the environment names (-want +got):\n%s", diff)
	}
	if got := q.environment(); got.Updates != 5 || q.AWS.Calls("UpdateComputeEnvironment") != 5 {
		t.Errorf("%d updates in %d calls: one for each of three snapshots, the way back, and the end", got.Updates, q.AWS.Calls("UpdateComputeEnvironment"))
	}
}

// At whichever request the operator ends: one version of each template per revision, one update, every device as it was.
func TestBatchEveryCrash(t *testing.T) {
	EveryCrash(t, batchOptions(), func(w *World) {
		q := newBatchQueue(w)
		first := q.Renew(v1alpha1.FormatFiles)
		q.bind()
		q.Expect("bound", q.Settle("b"), map[string]string{"Ready": "True Ready"})
		q.expectVolumes("bound", bootsWith(first))
		second := q.Renew(v1alpha1.FormatFiles)
		q.Expect("renewed", q.Settle("b"), map[string]string{"Ready": "True Ready"})
		q.expectVolumes("renewed", bootsWith(second))
		q.Unbind("b")
		q.Settle("b")
	}, func(w *World) {
		q := batchQueue{w}
		if w.Binding("b") != nil {
			w.Error("the binding is still there")
		}
		q.expectVolumes("in the end", []string{untouched, untouched})
		if diff := cmp.Diff(map[string]int64{"workers": 4, "gpus": 4}, q.latest()); diff != "" {
			w.Errorf("versions: the owner's, one for each snapshot, and the restored one (-want +got):\n%s", diff)
		}
		if got := q.environment().Updates; got != 3 || w.AWS.Calls("UpdateComputeEnvironment") > 4 {
			w.Errorf("%d updates in %d calls, want 3", got, w.AWS.Calls("UpdateComputeEnvironment"))
		}
	})
}

// The same while a snapshot fails, the last known good one comes back, and the binding is deleted then.
func TestBatchEveryCrashOfAWayBack(t *testing.T) {
	EveryCrash(t, batchOptions(), func(w *World) {
		q := newBatchQueue(w)
		good := q.Renew(v1alpha1.FormatFiles)
		q.bind()
		q.Settle("b")
		bad := q.Renew(v1alpha1.FormatFiles)
		q.SettleUntil("b", "the bad one is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == bad })
		q.AWS.BreakComputeEnvironment("gpu", "CLIENT_ERROR - no capacity")
		q.Expect("after it failed", q.Settle("b"), map[string]string{"Ready": "False RolledBack"})
		q.expectVolumes("after it failed", bootsWith(good))
		q.Unbind("b")
		q.Settle("b")
	}, func(w *World) {
		q := batchQueue{w}
		if w.Binding("b") != nil {
			w.Error("the binding is still there")
		}
		q.expectVolumes("in the end", []string{untouched, untouched})
		if diff := cmp.Diff(map[string]int64{"workers": 5, "gpus": 5}, q.latest()); diff != "" {
			w.Errorf("versions: the owner's, the good one's, the bad one's, the good one's again, and the restored one (-want +got):\n%s", diff)
		}
		if got := q.environment(); got.Updates != 4 || got.Status != "VALID" {
			w.Errorf("the environment is %s after %d updates, want 4", got.Status, got.Updates)
		}
	})
}

// A snapshot that no instance was launched with proves nothing, and an environment may be without instances for long.
func TestBatchWithoutInstances(t *testing.T) {
	q := newBatchQueue(New(t, batchOptions()), func(in *batch.CreateComputeEnvironmentInput) { in.ComputeResources.MinvCpus = aws.Int32(0) })
	q.Renew(v1alpha1.FormatFiles)
	q.bind()
	b := q.Settle("b")
	q.Expect("without instances", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	if b.Status.LastKnownGoodProven {
		t.Error("nothing was launched with it, and it counts as proven")
	}
	_, err := batch.NewFromConfig(q.AWS.Config()).UpdateComputeEnvironment(t.Context(), &batch.UpdateComputeEnvironmentInput{
		ComputeEnvironment: aws.String("gpu"), ComputeResources: &types.ComputeResourceUpdate{DesiredvCpus: aws.Int32(4)},
	})
	q.Must(err)
	if b := q.Settle("b"); !b.Status.LastKnownGoodProven {
		t.Errorf("instances run with it: %+v", b.Status)
	}
}

// An environment that named the default version does so again, and the deletion waits until its instances are as before.
func TestBatchGivesTheDefaultBack(t *testing.T) {
	q := newBatchQueue(New(t, batchOptions()), func(in *batch.CreateComputeEnvironmentInput) {
		in.ComputeResources.LaunchTemplate = launchesWith("$Default", "$Default")
	})
	first := q.Renew(v1alpha1.FormatFiles)
	q.bind()
	q.Settle("b")
	q.expectVolumes("with a snapshot", bootsWith(first))
	q.Unbind("b")
	b := q.Pass("b")
	if b == nil {
		t.Fatal("the binding goes before its instances do")
	}
	if got := Message(b, "Applied"); !strings.Contains(got, "until the platform has carried it out: Batch has been replacing the instances of compute environment gpu since ") {
		t.Errorf("message %q", got)
	}
	if b := q.Settle("b"); b != nil {
		t.Fatalf("the binding is still there: %+v", b.Status)
	}
	q.expectVolumes("in the end", []string{untouched, untouched})
	if diff := cmp.Diff([]string{"$Default", "$Default"}, q.named()); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"workers": 2, "gpus": 2}, q.latest()); diff != "" {
		t.Errorf("versions were made of what is there already (-want +got):\n%s", diff)
	}
}

func TestBatchRefusals(t *testing.T) {
	resources := func(edit func(*types.ComputeResource)) func(*batch.CreateComputeEnvironmentInput) {
		return func(in *batch.CreateComputeEnvironmentInput) { edit(in.ComputeResources) }
	}
	cases := map[string]struct {
		environment func(*batch.CreateComputeEnvironmentInput)
		device      string
		reason      string
		message     string
	}{
		"unmanaged": {
			func(in *batch.CreateComputeEnvironmentInput) {
				in.Type, in.ComputeResources = types.CETypeUnmanaged, nil
			}, "", "UnsupportedTarget",
			"compute environment gpu is unmanaged, so that Batch launches none of its instances: bind what does, for instance with target.launchTemplate",
		},
		"Fargate": {
			resources(func(r *types.ComputeResource) { r.Type, r.LaunchTemplate = types.CRTypeFargate, nil }), "", "UnsupportedTarget",
			"compute environment gpu runs on Fargate, which has no instances that could boot with a snapshot: bind an environment of type EC2 or SPOT",
		},
		"no launch template": {
			resources(func(r *types.ComputeResource) { r.LaunchTemplate = nil }), "", "NoLaunchTemplate",
			"compute environment gpu has no launch template, and only there can a device be said: give it one by updating computeResources.launchTemplate",
		},
		"best fit": {
			resources(func(r *types.ComputeResource) { r.AllocationStrategy = types.CRAllocationStrategyBestFit }), "", "AllocationStrategyUnsupported",
			"compute environment gpu has the allocation strategy BEST_FIT, with which Batch changes no launch template: recreate it with " +
				"BEST_FIT_PROGRESSIVE, SPOT_CAPACITY_OPTIMIZED or SPOT_PRICE_CAPACITY_OPTIMIZED",
		},
		"no strategy": {
			resources(func(r *types.ComputeResource) { r.AllocationStrategy = "" }), "", "AllocationStrategyUnsupported",
			"compute environment gpu has the allocation strategy BEST_FIT, with which Batch changes no launch template: recreate it with " +
				"BEST_FIT_PROGRESSIVE, SPOT_CAPACITY_OPTIMIZED or SPOT_PRICE_CAPACITY_OPTIMIZED",
		},
		"a service role": {
			func(in *batch.CreateComputeEnvironmentInput) {
				in.ServiceRole = aws.String("arn:aws:iam::111122223333:role/batch")
			}, "", "UnsupportedTarget",
			"compute environment gpu has the service role arn:aws:iam::111122223333:role/batch, with which Batch changes no launch template: " +
				"recreate it with the service-linked role AWSServiceRoleForBatch, which cannot be given to it later",
		},
		"another account's template": {
			resources(func(r *types.ComputeResource) {
				r.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-0000000000000beef")}
			}), "", "TargetDegraded",
			"compute environment gpu is INVALID, and was before Larder changed it: CLIENT_ERROR - InvalidLaunchTemplateId.NotFound: The specified " +
				"launch template, with template ID lt-0000000000000beef, does not exist.: mend it first",
		},
		"the root device": {
			func(*batch.CreateComputeEnvironmentInput) {}, "/dev/xvda", "DeviceInvalid",
			"/dev/xvda is the root device of the nodes, which boot from it: name the data device in device.name, /dev/xvdb for Bottlerocket",
		},
		"another name": {
			func(in *batch.CreateComputeEnvironmentInput) { in.ComputeEnvironmentName = aws.String("gpus") }, "", "TargetMissing",
			"this account has no compute environment gpu in the operator's Region: create it, or delete this binding and make one for another environment",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q := newBatchQueue(New(t, batchOptions()), tc.environment)
			q.Renew(v1alpha1.FormatFiles)
			q.bind(func(b *v1alpha1.NodeClassBinding) {
				if tc.device != "" {
					b.Spec.Target.BatchComputeEnvironment.Device.Name = tc.device
				}
			})
			b := q.Settle("b")
			q.Expect("refused", b, map[string]string{"Ready": "False " + tc.reason, "PreflightPassed": "False " + tc.reason})
			if got := Message(b, "Ready"); got != tc.message {
				t.Errorf("message %q, want %q", got, tc.message)
			}
			if got := q.Mutations(); len(got) > 0 {
				t.Errorf("changed all the same: %v", got)
			}
			q.Unbind("b")
			if b := q.Settle("b"); b != nil {
				t.Errorf("it cannot be deleted: %+v", b.Status.Conditions)
			}
		})
	}
}

// Without the version that the environment names, nobody knows what its instances are to be like: a person is told, and
// nothing is half applied. It goes on when the environment names one that exists.
func TestBatchVersionDeletedUnderIt(t *testing.T) {
	cases := map[string]func(q batchQueue){
		"before the first snapshot": func(q batchQueue) {
			q.version("gpus")
			q.update(launchesWith("$Latest", "2"))
			q.Wait(replacing)
			q.delete("gpus", "2")
			q.Renew(v1alpha1.FormatFiles)
			q.bind()
		},
		"Larder's own": func(q batchQueue) {
			q.Renew(v1alpha1.FormatFiles)
			q.bind()
			q.Settle("b")
			q.version("gpus")
			q.delete("gpus", "2")
		},
	}
	for name, arrange := range cases {
		t.Run(name, func(t *testing.T) {
			q := newBatchQueue(New(t, batchOptions()))
			arrange(q)
			before, changes := q.latest(), len(q.Mutations())
			b := q.Settle("b")
			q.Expect("without the version", b, map[string]string{"Ready": "False LaunchTemplateVersionNotFound", "Stalled": "True LaunchTemplateVersionNotFound"})
			const want = "version 2 of launch template lt-00000000000000002 does not exist any more, and nothing can be launched with it: have " +
				"the target launch with a version that exists"
			if got := Message(b, "Ready"); got != want {
				t.Errorf("it says\n%s\nand should say\n%s", got, want)
			}
			if diff := cmp.Diff(before, q.latest()); diff != "" || len(q.Mutations()) != changes {
				t.Errorf("half applied: %v, versions (-want +got):\n%s", q.Mutations()[changes:], diff)
			}
			q.update(launchesWith("$Latest", "1"))
			q.Wait(replacing)
			wanted := q.Renew(v1alpha1.FormatFiles)
			q.SettleUntil("b", "it goes on", Is("Ready", "True Ready"))
			q.Settle("b")
			q.expectVolumes("with one that exists", bootsWith(wanted))
		})
	}
}

// Somebody else's update is waited for; after an hour a person is told.
func TestBatchWaitsForSomebodyElse(t *testing.T) {
	options := batchOptions()
	options.AWS.ComputeEnvironmentFor = 90 * time.Minute
	q := newBatchQueue(New(t, options))
	q.Wait(90 * time.Minute)
	first := q.Renew(v1alpha1.FormatFiles)
	q.version("gpus")
	q.update(launchesWith("$Latest", "2"))
	q.bind()
	b := q.Pass("b")
	q.Expect("while it runs", b, map[string]string{"Ready": "False UpdateInProgress", "Applied": "False UpdateInProgress", "Stalled": "absent"})
	since := q.Clock.Now()
	notWritten := first + " is not written to /dev/xvdb of Batch compute environment gpu while the platform is changing it: "
	want := notWritten + "Batch is updating compute environment gpu for something else than this binding, since " + since.Format(time.RFC3339) +
		" or longer; no snapshot of this binding is in use yet"
	if got := Message(b, "Applied"); got != want {
		t.Errorf("it says\n%s\nand should say\n%s", got, want)
	}
	b = q.SettleUntil("b", "a person is told", Is("Stalled", "True UpdateInProgress"))
	if waited := q.Clock.Now().Sub(since); waited < time.Hour || waited > 61*time.Minute {
		t.Errorf("told after %s", waited)
	}
	want = notWritten + "Batch has been updating compute environment gpu since " + since.Format(time.RFC3339) + ", or longer, for something " +
		"else than this binding: have the jobs ended that the update waits for, or its update policy changed; no snapshot of this binding is " +
		"in use yet"
	if got := Message(b, "Applied"); got != want {
		t.Errorf("it says\n%s\nand should say\n%s", got, want)
	}
	if got := q.Mutations(); len(got) > 0 {
		t.Errorf("meanwhile Larder wrote: %v", got)
	}
	q.Expect("after it", q.Settle("b"), map[string]string{"Ready": "True Ready"})
	for _, volume := range q.volumes() {
		if !strings.Contains(volume, first) {
			t.Errorf("an instance boots with %s", volume)
		}
	}
}

func TestBatchDenied(t *testing.T) {
	cases := map[string]struct{ action, conditionType, want, message string }{
		"reading the environment": {"DescribeComputeEnvironments", "PreflightPassed", "False TargetUnreadable", "compute environment gpu cannot be read, since AWS refuses batch:DescribeComputeEnvironments: " +
			"AccessDeniedException: User: arn:aws:iam::111122223333:user/larder is not authorized to perform: batch:DescribeComputeEnvironments: allow it to Larder's role"},
		"the update": {"UpdateComputeEnvironment", "Applied", "False WriteDenied", "compute environment gpu cannot be written, since AWS refuses batch:UpdateComputeEnvironment: " +
			"AccessDeniedException: User: arn:aws:iam::111122223333:user/larder is not authorized to perform: batch:UpdateComputeEnvironment: allow it to Larder's role"},
		"a version":            {"CreateLaunchTemplateVersion", "Applied", "False WriteDenied", ""},
		"reading the template": {"DescribeLaunchTemplates", "PreflightPassed", "False TargetUnreadable", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q := newBatchQueue(New(t, batchOptions()))
			first := q.Renew(v1alpha1.FormatFiles)
			q.AWS.Inject(fakeaws.Fault{Action: tc.action, Kind: fakeaws.Denied})
			q.bind()
			b := q.Pass("b")
			q.Expect("denied", b, map[string]string{tc.conditionType: tc.want, "Stalled": "True " + strings.Fields(tc.want)[1]})
			if got := Message(b, "Ready"); tc.message != "" && got != tc.message {
				t.Errorf("message %q, want %q", got, tc.message)
			}
			q.AWS.Heal()
			q.Expect("allowed", q.Settle("b"), map[string]string{"Ready": "True Ready"})
			q.expectVolumes("allowed", bootsWith(first))
			if diff := cmp.Diff(map[string]int64{"workers": 2, "gpus": 2}, q.latest()); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
		})
	}
}

// Terraform that is not told to leave the version alone is named, and not fought for ever.
func TestBatchRival(t *testing.T) {
	q := newBatchQueue(New(t, batchOptions()))
	q.Renew(v1alpha1.FormatFiles)
	q.bind()
	q.Settle("b")
	var b *v1alpha1.NodeClassBinding
	for range 4 {
		q.update(launchesWith("1", "1"))
		q.Wait(replacing)
		b = q.Settle("b")
	}
	q.Expect("taken back four times", b, map[string]string{"Ready": "False RivalWriter"})
	if got := Message(b, "Ready"); !strings.HasPrefix(got, "another user of AWS took back /dev/xvdb of Batch compute environment gpu 4 times, so Larder stopped writing it: "+
		"in Terraform, add to the aws_batch_compute_environment of gpu lifecycle { ignore_changes = [compute_resources[0].launch_template] }") {
		t.Errorf("message %q", got)
	}
	if diff := cmp.Diff([]string{"1", "1"}, q.named()); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// Larder's own versions that nothing needs go, and no others.
func TestBatchPruning(t *testing.T) {
	q := newBatchQueue(New(t, batchOptions()))
	q.bind()
	var last string
	for range 3 {
		last = q.Renew(v1alpha1.FormatFiles)
		q.SettleUntil("b", "it is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == last })
		q.Settle("b")
	}
	q.expectVolumes("with the last", bootsWith(last))
	for _, template := range []string{"workers", "gpus"} {
		out, err := ec2.NewFromConfig(q.AWS.Config()).DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &template})
		q.Must(err)
		var left []int64
		for _, version := range out.LaunchTemplateVersions {
			left = append(left, *version.VersionNumber)
		}
		slices.Sort(left)
		if diff := cmp.Diff([]int64{1, 4}, left); diff != "" {
			t.Errorf("versions of %s that are left (-want +got):\n%s", template, diff)
		}
	}
}
