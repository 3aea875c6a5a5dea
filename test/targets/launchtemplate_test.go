package targets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/launchtemplate"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// refreshStep is how long Auto Scaling takes for an instance here.
const refreshStep = 2 * time.Minute

// hosts is a launch template with Auto Scaling groups, as their owner sees them.
type hosts struct {
	*World
	ec2     *ec2.Client
	scaling *autoscaling.Client
	id      string
}

func scalingOptions() Options {
	return Options{
		AWS: fakeaws.Options{RefreshStep: refreshStep},
		Targets: func(p Process) binding.Targets {
			client := launch.New(p.AWS)
			return binding.Targets{&launchtemplate.Target{
				Templates: client, Groups: client, Scaling: client, Images: ami.New(p.AWS, p.Clock), Bindings: p.Client,
			}}
		},
	}
}

// newHosts makes a template of one version, with a root device and a data device of the owner's.
func newHosts(w *World) *hosts {
	w.Helper()
	cfg := w.AWS.Config()
	h := &hosts{World: w, ec2: ec2.NewFromConfig(cfg), scaling: autoscaling.NewFromConfig(cfg)}
	made, err := h.ec2.CreateLaunchTemplate(w.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("hosts"), LaunchTemplateData: ownData("ami-0123456789abcdef0"),
	})
	w.Must(err)
	h.id = *made.LaunchTemplate.LaunchTemplateId
	return h
}

func ownData(image string) *types.RequestLaunchTemplateData {
	return &types.RequestLaunchTemplateData{
		ImageId: &image, UserData: aws.String("W3NldHRpbmdzXQ=="),
		BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: aws.String("/dev/xvda"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(8), VolumeType: types.VolumeTypeGp3}},
			{DeviceName: aws.String("/dev/xvdb"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(60), VolumeType: types.VolumeTypeGp3}},
		},
	}
}

// group makes a group with instances; version is "$Latest", "$Default" or a number.
func (h *hosts) group(name, version string, instances int) {
	h.Helper()
	_, err := h.scaling.CreateAutoScalingGroup(h.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(9), AvailabilityZones: []string{Region + "a"},
		LaunchTemplate: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateId: &h.id, Version: &version},
	})
	h.Must(err)
	if !h.AWS.SetDesired(name, instances) {
		h.Fatalf("%s does not launch %d instances", name, instances)
	}
}

// target names the template by its id, and groups.
func (h *hosts) target(groups ...v1alpha1.AutoScalingGroup) v1alpha1.Target {
	return v1alpha1.Target{LaunchTemplate: &v1alpha1.LaunchTemplateTarget{
		ID: h.id, AutoScalingGroups: groups, Device: v1alpha1.Device{Name: "/dev/xvdb"},
	}}
}

// follows is a group without an instance refresh, refreshed one with, and rolledBack one that Auto Scaling takes back itself.
func follows(name string) v1alpha1.AutoScalingGroup { return v1alpha1.AutoScalingGroup{Name: name} }

func refreshed(name string) v1alpha1.AutoScalingGroup {
	return v1alpha1.AutoScalingGroup{Name: name, InstanceRefresh: &v1alpha1.InstanceRefresh{SkipMatching: aws.Bool(true)}}
}

func rolledBack(name string) v1alpha1.AutoScalingGroup {
	group := refreshed(name)
	group.InstanceRefresh.AutoRollback = true
	return group
}

func (h *hosts) read(group string) scalingtypes.AutoScalingGroup {
	h.Helper()
	out, err := h.scaling.DescribeAutoScalingGroups(h.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	h.Must(err)
	if len(out.AutoScalingGroups) != 1 {
		h.Fatalf("%d groups are called %s", len(out.AutoScalingGroups), group)
	}
	return out.AutoScalingGroups[0]
}

// versions are the devices and the AMI of all versions by their numbers, each in one line.
func (h *hosts) versions() map[int64]string {
	h.Helper()
	out, err := h.ec2.DescribeLaunchTemplateVersions(h.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &h.id})
	h.Must(err)
	all := map[int64]string{}
	for _, version := range out.LaunchTemplateVersions {
		line := aws.ToString(version.LaunchTemplateData.ImageId)
		for _, device := range version.LaunchTemplateData.BlockDeviceMappings {
			line += fmt.Sprintf(" %s:%d:%s", *device.DeviceName, aws.ToInt32(device.Ebs.VolumeSize), aws.ToString(device.Ebs.SnapshotId))
		}
		if aws.ToBool(version.DefaultVersion) {
			line += " default"
		}
		all[*version.VersionNumber] = line
	}
	return all
}

// boots returns what a new instance of a group would boot with, and what its instances did.
func (h *hosts) boots(group string) (next string, now []string) {
	h.Helper()
	versions, read := h.versions(), h.read(group)
	var numbers []int64
	for number := range versions {
		numbers = append(numbers, number)
	}
	snapshot := func(number int64) string {
		_, after, _ := strings.Cut(versions[number], "/dev/xvdb:")
		_, id, _ := strings.Cut(after, ":")
		return strings.TrimSuffix(id, " default")
	}
	for _, instance := range read.Instances {
		now = append(now, snapshot(h.number(*instance.LaunchTemplate.Version)))
	}
	if version := *read.LaunchTemplate.Version; version != "$Latest" {
		return snapshot(h.number(version)), now
	}
	return snapshot(slices.Max(numbers)), now
}

func (h *hosts) number(version string) int64 {
	h.Helper()
	if version == "$Default" {
		for number, line := range h.versions() {
			if strings.HasSuffix(line, " default") {
				return number
			}
		}
	}
	number, err := strconv.ParseInt(version, 10, 64)
	h.Must(err)
	return number
}

func (h *hosts) expectBoots(why, group, next string, now ...string) {
	h.Helper()
	gotNext, gotNow := h.boots(group)
	if gotNext != next {
		h.Errorf("%s: new instances of %s boot with %q, want %q", why, group, gotNext, next)
	}
	if diff := cmp.Diff(now, gotNow); now != nil && diff != "" {
		h.Errorf("%s: what instances of %s booted with (-want +got):\n%s", why, group, diff)
	}
}

func TestLaunchTemplateLife(t *testing.T) {
	h := newHosts(New(t, scalingOptions()))
	h.group("web", "1", 2)
	first := h.Renew(v1alpha1.FormatBottlerocket)
	h.Bind("b", h.target(refreshed("web")))
	b := h.Settle("b")
	h.Expect("bound", b, map[string]string{"Ready": "True Ready", "Applied": "True Applied", "RolledOut": "True NodesCurrent"})
	h.expectBoots("bound", "web", first, first, first)
	if !b.Status.LastKnownGoodProven || b.Status.LastKnownGoodSnapshotID != first {
		t.Errorf("%s is not proven: %+v", first, b.Status)
	}

	second := h.Renew(v1alpha1.FormatBottlerocket)
	b = h.Settle("b")
	h.Expect("renewed", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	h.expectBoots("renewed", "web", second, second, second)

	h.Unbind("b")
	if b := h.Settle("b"); b != nil {
		t.Fatalf("the binding stays: %s", Message(b, "Ready"))
	}
	h.expectBoots("restored", "web", "", "", "")
	const own = "ami-0123456789abcdef0 /dev/xvda:8: /dev/xvdb:60:"
	if diff := cmp.Diff(map[int64]string{1: own + " default", 4: own}, h.versions()); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	round := []string{"CreateLaunchTemplateVersion", "UpdateAutoScalingGroup", "StartInstanceRefresh"}
	prune := []string{"DeleteLaunchTemplateVersions"}
	all := slices.Concat(round, round, prune, round, prune)
	if diff := cmp.Diff(all, h.Mutations()); diff != "" {
		t.Errorf("what changed something (-want +got):\n%s", diff)
	}
}

func TestLaunchTemplateByItself(t *testing.T) {
	h := newHosts(New(t, scalingOptions()))
	first := h.Renew(v1alpha1.FormatBottlerocket)
	target := h.target()
	target.LaunchTemplate.ID, target.LaunchTemplate.Name = "", "hosts"
	target.LaunchTemplate.SetDefault = true
	h.Bind("b", target)
	b := h.SettleUntil("b", "applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == first })
	h.Expect("bound", b, map[string]string{"Ready": "True Ready"})
	if got := h.versions()[2]; !strings.Contains(got, first) || !strings.HasSuffix(got, " default") {
		t.Errorf("version 2 is %s", got)
	}
	h.Unbind("b")
	if b := h.Settle("b"); b != nil {
		t.Fatalf("the binding stays: %s", Message(b, "Ready"))
	}
	const own = "ami-0123456789abcdef0 /dev/xvda:8: /dev/xvdb:60:"
	if diff := cmp.Diff(map[int64]string{1: own + " default", 3: own}, h.versions()); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// promised is what holds of the hosts' template and group once a story is over, however often the operator ended.
func (h *hosts) promised(made int) {
	h.Helper()
	for number, line := range h.versions() {
		if !strings.HasPrefix(line, "ami-0123456789abcdef0 /dev/xvda:8: /dev/xvdb:") {
			h.Errorf("version %d lost a device: %s", number, line)
		}
	}
	count := map[string]int{}
	for _, call := range h.Mutations() {
		count[call]++
	}
	// A call that the operator ended at is made once more, with the same client token.
	if h.LatestNumber() != 1+int64(made) {
		h.Errorf("the latest version is %d, want %d: %v", h.LatestNumber(), 1+made, count)
	}
}

// LatestNumber is that of the latest version.
func (h *hosts) LatestNumber() int64 {
	h.Helper()
	out, err := h.ec2.DescribeLaunchTemplates(h.Context(), &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{h.id}})
	h.Must(err)
	return *out.LaunchTemplates[0].LatestVersionNumber
}

func (h *hosts) refreshes(group string) (statuses []string) {
	h.Helper()
	out, err := h.scaling.DescribeInstanceRefreshes(h.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &group})
	h.Must(err)
	for _, one := range slices.Backward(out.InstanceRefreshes) {
		statuses = append(statuses, string(one.Status))
	}
	return statuses
}

func TestLaunchTemplateEveryCrash(t *testing.T) {
	cases := map[string]struct {
		version    string
		setDefault bool
		group      func(string) v1alpha1.AutoScalingGroup
		refreshes  []string
	}{
		"a number, refreshed":                   {"1", true, refreshed, []string{"Successful", "Successful", "Successful"}},
		"a number, refreshed with a way back":   {"1", false, rolledBack, []string{"Successful", "Successful", "Successful"}},
		"the latest version, for new instances": {"$Latest", false, follows, nil},
		"the default version, refreshed":        {"$Default", true, refreshed, []string{"Successful", "Successful", "Successful"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var h *hosts
			EveryCrash(t, scalingOptions(), func(w *World) {
				h = newHosts(w)
				h.group("web", tc.version, 1)
				target := h.target(tc.group("web"))
				target.LaunchTemplate.SetDefault = tc.setDefault
				first := h.Renew(v1alpha1.FormatBottlerocket)
				h.Bind("b", target)
				applied := func(id string) func(b *v1alpha1.NodeClassBinding) bool {
					return func(b *v1alpha1.NodeClassBinding) bool {
						return b.Status.AppliedSnapshotID == id && Describe(b, "Ready") == "True Ready"
					}
				}
				h.SettleUntil("b", "the first is applied", applied(first))
				h.Wait(5 * refreshStep)
				second := h.Renew(v1alpha1.FormatBottlerocket)
				h.SettleUntil("b", "the second is applied", applied(second))
				h.Wait(5 * refreshStep)
				h.Unbind("b")
				h.Settle("b")
				h.Wait(5 * refreshStep)
			}, func(w *World) {
				if b := w.Binding("b"); b != nil {
					w.Fatalf("the binding stays: %s", Message(b, "Ready"))
				}
				h.promised(3)
				var instances []string
				if tc.refreshes != nil {
					instances = []string{""}
				}
				h.expectBoots("at the end", "web", "", instances...)
				if diff := cmp.Diff(tc.refreshes, h.refreshes("web")); diff != "" {
					w.Errorf("refreshes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLaunchTemplateEveryCrashOfAWayBack has the instance refresh for the second snapshot fail: whenever the operator ends,
// the group comes back to the first, at the deletion to what it was, and no version and no refresh is made twice.
func TestLaunchTemplateEveryCrashOfAWayBack(t *testing.T) {
	cases := map[string]struct {
		group     func(string) v1alpha1.AutoScalingGroup
		made      int
		refreshes []string
	}{
		"by Larder":       {refreshed, 4, []string{"Successful", "Failed", "Successful", "Successful"}},
		"by Auto Scaling": {rolledBack, 3, []string{"Successful", "RollbackSuccessful", "Successful"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var h *hosts
			EveryCrash(t, scalingOptions(), func(w *World) {
				h = newHosts(w)
				h.group("web", "1", 2)
				first := h.Renew(v1alpha1.FormatBottlerocket)
				h.Bind("b", h.target(tc.group("web")))
				h.Settle("b")
				second := h.Renew(v1alpha1.FormatBottlerocket)
				h.SettleUntil("b", "the second is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
				h.Wait(2 * refreshStep) // one of two instances is replaced
				h.AWS.FailRefresh("web", "An alarm went off.")
				h.SettleUntil("b", "it is taken back", Is("Ready", "False RolledBack"))
				b := h.Settle("b")
				h.expectBoots("rolled back", "web", first, first, first)
				if b.Status.AppliedSnapshotID != first || b.Status.RejectedSnapshotID != second {
					w.Errorf("applied %s, rejected %s, want %s and %s", b.Status.AppliedSnapshotID, b.Status.RejectedSnapshotID, first, second)
				}
				h.Unbind("b")
				h.Settle("b")
			}, func(w *World) {
				if b := w.Binding("b"); b != nil {
					w.Errorf("the binding stays: %s", Message(b, "Ready"))
				}
				h.promised(tc.made)
				h.expectBoots("at the end", "web", "", "", "")
				if diff := cmp.Diff(tc.refreshes, h.refreshes("web")); diff != "" {
					w.Errorf("refreshes (-want +got):\n%s", diff)
				}
			})
		})
	}
}
