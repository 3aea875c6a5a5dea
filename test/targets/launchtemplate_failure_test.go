package targets

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
)

// proven is a world with a group of two instances on the first snapshot, which is proven.
func provenHosts(t *testing.T, version string, group func(string) v1alpha1.AutoScalingGroup) (h *hosts, first string) {
	t.Helper()
	h = newHosts(New(t, scalingOptions()))
	h.group("web", version, 0)
	first = h.Renew(v1alpha1.FormatBottlerocket)
	h.Bind("b", h.target(group("web")))
	h.SettleUntil("b", "the first is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == first })
	if !h.AWS.SetDesired("web", 2) {
		t.Fatal("web launches nothing")
	}
	h.SettleUntil("b", "the first is proven", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.LastKnownGoodProven })
	h.Settle("b")
	return h, first
}

func TestLaunchTemplateRollsBack(t *testing.T) {
	const launchMessage = "The snapshot 'snap-00000000000000002' does not exist. Launching EC2 instance failed."
	cases := map[string]struct {
		reason   string
		version  string
		group    func(string) v1alpha1.AutoScalingGroup
		fails    func(h *hosts)
		because  string
		latest   int64
		statuses []string
	}{
		"a launch that fails": {
			"new instances cannot be made, and no refresh says so", "1", follows,
			func(h *hosts) { h.AWS.FailLaunches("web", launchMessage, 1); h.AWS.SetDesired("web", 3) },
			"LaunchFailed: Auto Scaling group web cannot launch instances: " + strings.TrimSuffix(launchMessage, "."), 4, nil,
		},
		"a refresh that fails": {
			"the instances that it replaced are replaced again", "1", refreshed,
			func(h *hosts) { h.Wait(2 * refreshStep); h.AWS.FailRefresh("web", "An alarm went off.") },
			"UpdateFailed: instance refresh 00000001-0000-4000-8000-000000000000 of Auto Scaling group web ended Failed at 50 %: An alarm went off", 4,
			[]string{"Failed", "Successful"},
		},
		"a refresh that Auto Scaling takes back": {
			"nothing is left to write: the group names the version before all the time", "1", rolledBack,
			func(h *hosts) { h.Wait(2 * refreshStep); h.AWS.FailRefresh("web", "An alarm went off.") },
			"UpdateFailed: instance refresh 00000002-0000-4000-8000-000000000000 of Auto Scaling group web ended RollbackSuccessful at 0 %: An alarm went off", 3,
			[]string{"Successful", "RollbackSuccessful"},
		},
		"a group on the latest version": {
			"publishing is all that it takes", "$Latest", follows,
			func(h *hosts) {
				h.AWS.FailLaunches("web", "Client.InternalError: Client error on launch", 1)
				h.AWS.SetDesired("web", 0)
				h.AWS.SetDesired("web", 1)
			},
			"LaunchFailed: Auto Scaling group web cannot launch instances: Client.InternalError: Client error on launch", 4, nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h, first := provenHosts(t, tc.version, tc.group)
			second := h.Renew(v1alpha1.FormatBottlerocket)
			h.SettleUntil("b", "the second is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
			tc.fails(h)
			h.SettleUntil("b", "it is taken back", Is("Ready", "False RolledBack"))
			b := h.Settle("b")
			if b.Status.AppliedSnapshotID != first || b.Status.RejectedSnapshotID != second || b.Status.RejectedBecause != tc.because {
				t.Errorf("%s: applied %s, rejected %s because %q, want %q", tc.reason, b.Status.AppliedSnapshotID, b.Status.RejectedSnapshotID, b.Status.RejectedBecause, tc.because)
			}
			_, now := h.boots("web")
			if tc.statuses == nil {
				now = nil // instances stay what they are
			}
			h.expectBoots(tc.reason, "web", first, now...)
			if slices.Contains(now, second) {
				t.Errorf("%s: instances boot with %v", tc.reason, now)
			}
			if got := h.LatestNumber(); got != tc.latest {
				t.Errorf("%s: the latest version is %d, want %d", tc.reason, got, tc.latest)
			}
			if diff := cmp.Diff(tc.statuses, h.refreshes("web")); diff != "" {
				t.Errorf("%s: refreshes (-want +got):\n%s", tc.reason, diff)
			}
			h.Ask("b", "again")
			h.SettleUntil("b", "it is tried again", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
		})
	}
}

func TestLaunchTemplateOfABadFirstSnapshot(t *testing.T) {
	h := newHosts(New(t, scalingOptions()))
	h.group("web", "1", 1)
	first := h.Renew(v1alpha1.FormatBottlerocket)
	h.Bind("b", h.target(refreshed("web")))
	h.SettleUntil("b", "it is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == first })
	h.Wait(2 * refreshStep)
	h.AWS.FailRefresh("web", "An alarm went off.")
	b := h.SettleUntil("b", "it is taken back", Is("Ready", "False RolledBack"))
	h.Settle("b")
	h.expectBoots("rolled back", "web", "")
	if b.Status.AppliedSnapshotID != "" || b.Status.RejectedSnapshotID != first {
		t.Errorf("applied %q, rejected %q", b.Status.AppliedSnapshotID, b.Status.RejectedSnapshotID)
	}
}

// TestLaunchTemplateLackOfCapacity keeps a snapshot that no failed launch is to blame on.
func TestLaunchTemplateLackOfCapacity(t *testing.T) {
	h, _ := provenHosts(t, "1", follows)
	second := h.Renew(v1alpha1.FormatBottlerocket)
	h.SettleUntil("b", "the second is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
	h.AWS.FailLaunches("web", "We currently do not have sufficient p5.48xlarge capacity in the Availability Zone you requested. Launching EC2 instance failed.", 1)
	h.AWS.SetDesired("web", 3)
	h.Wait(time.Hour)
	h.Expect("afterwards", h.Settle("b"), map[string]string{"Ready": "True Ready"})
}

func TestLaunchTemplateRefusals(t *testing.T) {
	id := "lt-00000000000000001"
	cases := map[string]struct {
		world  func(h *hosts)
		target func(h *hosts) v1alpha1.Target
		want   string
	}{
		"no such template": {nil, func(h *hosts) v1alpha1.Target {
			target := h.target()
			target.LaunchTemplate.ID = "lt-0123456789abcdef0"
			return target
		}, "LaunchTemplateNotFound: this account has no launch template lt-0123456789abcdef0 in the operator's Region, and Larder cannot write another " +
			"account's: make one, or name one of this account"},
		"no such group": {nil, func(h *hosts) v1alpha1.Target { return h.target(follows("web")) },
			"TargetMissing: Auto Scaling group web does not exist in this account and Region: make it, or take it from " +
				"target.launchTemplate.autoScalingGroups"},
		"a group of another template": {func(h *hosts) {
			id := h.id
			h.other("others")
			h.group("web", "1", 0)
			h.id = id
		}, func(h *hosts) v1alpha1.Target { return h.target(follows("web")) },
			"OtherLaunchTemplate: Auto Scaling group web launches by launch template lt-00000000000000002 and not by " + id + ": have it launch by " +
				"that, or take it from target.launchTemplate.autoScalingGroups"},
		"a group on the default version": {func(h *hosts) { h.group("web", "$Default", 0) }, func(h *hosts) v1alpha1.Target { return h.target(follows("web")) },
			"VersionNotLaunched: Auto Scaling group web launches by the default version of launch template " + id + ", which Larder does not change: set " +
				"target.launchTemplate.setDefault, or have the group launch by $Latest or a number"},
		"a way back from the latest version": {func(h *hosts) { h.group("web", "$Latest", 0) }, func(h *hosts) v1alpha1.Target { return h.target(rolledBack("web")) },
			"FieldUnsupported: Auto Scaling group web launches by $Latest or $Default, and Auto Scaling can roll an instance refresh back only from a " +
				"version that is named by its number: leave instanceRefresh.autoRollback out, or have the group launch by a number"},
		"groups on different versions": {func(h *hosts) {
			h.publish("ami-0fedcba9876543210")
			h.group("web", "1", 0)
			h.group("jobs", "2", 0)
		}, func(h *hosts) v1alpha1.Target { return h.target(follows("web"), follows("jobs")) },
			"VersionNotLaunched: Auto Scaling group web launches by version 1 of launch template " + id + " and Auto Scaling group jobs by version 2, and " +
				"Larder makes one version for all: have them launch by the same, or make a template for each"},
		"groups that may not be read": {func(h *hosts) {
			h.AWS.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Kind: fakeaws.Denied})
		}, func(h *hosts) v1alpha1.Target { return h.target(follows("web")) },
			"TargetUnreadable: the Auto Scaling groups of the launch template cannot be read, since AWS refuses autoscaling:DescribeAutoScalingGroups: " +
				"AccessDenied: User: arn:aws:iam::111122223333:user/larder is not authorized to perform: autoscaling:DescribeAutoScalingGroups: allow it " +
				"to Larder's role"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHosts(New(t, scalingOptions()))
			if tc.world != nil {
				tc.world(h)
			}
			h.Renew(v1alpha1.FormatBottlerocket)
			h.Bind("b", tc.target(h))
			b := h.Pass("b")
			reason, message, _ := strings.Cut(tc.want, ": ")
			h.Expect(name, b, map[string]string{"Ready": "False " + reason, "PreflightPassed": "False " + reason})
			if diff := cmp.Diff(message, Message(b, "PreflightPassed")); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if got := h.Mutations(); len(got) > 0 {
				t.Errorf("half-applied: %v", got)
			}
			h.AWS.Heal()
			h.Unbind("b")
			if b := h.Settle("b"); b != nil {
				t.Errorf("the binding stays: %s", Message(b, "Ready"))
			}
		})
	}
}

// other makes another template and takes it for the hosts'.
func (h *hosts) other(name string) {
	h.Helper()
	made, err := h.ec2.CreateLaunchTemplate(h.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: ownData("ami-0123456789abcdef0")})
	h.Must(err)
	h.id = *made.LaunchTemplate.LaunchTemplateId
}

// publish makes a version as its owner does.
func (h *hosts) publish(image string) {
	h.Helper()
	_, err := h.ec2.CreateLaunchTemplateVersion(h.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &h.id, LaunchTemplateData: ownData(image)})
	h.Must(err)
}

// setVersion has a group launch by another version, as its owner does.
func (h *hosts) setVersion(group, version string) {
	h.Helper()
	_, err := h.scaling.UpdateAutoScalingGroup(h.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &group, LaunchTemplate: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateId: &h.id, Version: &version},
	})
	h.Must(err)
}

func TestLaunchTemplateDenied(t *testing.T) {
	denied := func(action string) string {
		service := "autoscaling"
		if strings.Contains(action, "LaunchTemplate") {
			service = "ec2"
		}
		return service + ":" + action
	}
	for _, action := range []string{"CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "UpdateAutoScalingGroup", "StartInstanceRefresh"} {
		t.Run(action, func(t *testing.T) {
			h := newHosts(New(t, scalingOptions()))
			h.group("web", "1", 1)
			first := h.Renew(v1alpha1.FormatBottlerocket)
			target := h.target(refreshed("web"))
			target.LaunchTemplate.SetDefault = true
			h.AWS.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Denied})
			h.Bind("b", target)
			b := h.Pass("b")
			h.Expect(action, b, map[string]string{"Ready": "False WriteDenied"})
			if got := Message(b, "Ready"); !strings.Contains(got, "AWS refuses "+denied(action)+": ") || !strings.Contains(got, "allow it to Larder's role") {
				t.Errorf("it says %q", got)
			}
			h.AWS.Heal()
			h.SettleUntil("b", "it goes on", func(b *v1alpha1.NodeClassBinding) bool {
				return b.Status.AppliedSnapshotID == first && b.Status.LastKnownGoodProven
			})
			if h.LatestNumber() != 2 || len(h.refreshes("web")) != 1 {
				t.Errorf("the latest version is %d, and the refreshes are %v", h.LatestNumber(), h.refreshes("web"))
			}
			h.expectBoots("afterwards", "web", first, first)
		})
	}
}

func TestLaunchTemplateRefreshOfSomebodyElse(t *testing.T) {
	h, first := provenHosts(t, "1", follows)
	since := h.Clock.Now()
	_, err := h.scaling.StartInstanceRefresh(h.Context(), &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: aws.String("web"),
		Preferences:          &scalingtypes.RefreshPreferences{CheckpointPercentages: []int32{50}, CheckpointDelay: aws.Int32(7200)},
	})
	h.Must(err)
	h.Wait(refreshStep)
	second := h.Renew(v1alpha1.FormatBottlerocket)
	b := h.SettleUntil("b", "it waits", Is("Applied", "False UpdateInProgress"))
	h.Expect("while it runs", b, map[string]string{"Ready": "True UpdateInProgress", "Stalled": "absent"})
	h.expectBoots("while it runs", "web", first)
	notWritten := second + " is not written to /dev/xvdb of launch template " + h.id + " while the platform is changing it: "
	want := notWritten + "instance refresh 00000001-0000-4000-8000-000000000000 of Auto Scaling group web is InProgress, 50 % complete: Larder " +
		"goes on when it is over; new nodes boot with " + first + " until then"
	if got := Message(b, "Applied"); got != want {
		t.Errorf("it says\n%s\nand should say\n%s", got, want)
	}
	h.Wait(61 * time.Minute)
	b = h.Pass("b")
	h.Expect("after an hour", b, map[string]string{"Stalled": "True UpdateInProgress"})
	want = notWritten + "instance refresh 00000001-0000-4000-8000-000000000000 of Auto Scaling group web, which Larder did not start, runs since " +
		since.UTC().Format(time.RFC3339) + " and is InProgress, 50 % complete: see what it waits for, or cancel it; Larder goes on when it is " +
		"over; new nodes boot with " + first + " until then"
	if got := Message(b, "Applied"); got != want {
		t.Errorf("it says\n%s\nand should say\n%s", got, want)
	}
	if got := h.LatestNumber(); got != 2 {
		t.Errorf("version %d was published meanwhile", got)
	}
	h.SettleUntil("b", "it is over", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
	h.expectBoots("then", "web", second)
}

// TestLaunchTemplateNewerSnapshotWaits never starts an update while one runs.
func TestLaunchTemplateNewerSnapshotWaits(t *testing.T) {
	h, _ := provenHosts(t, "1", func(name string) v1alpha1.AutoScalingGroup {
		group := refreshed(name)
		group.InstanceRefresh.BakeTime = &metav1.Duration{Duration: time.Hour}
		return group
	})
	second := h.Renew(v1alpha1.FormatBottlerocket)
	h.SettleUntil("b", "the second is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
	third := h.Renew(v1alpha1.FormatBottlerocket)
	b := h.SettleUntil("b", "it waits", Is("Applied", "False UpdateInProgress"))
	if got := Message(b, "Applied"); !strings.Contains(got, "Auto Scaling group web is Baking, 100 % complete") {
		t.Errorf("it says %q", got)
	}
	if got := h.LatestNumber(); got != 3 {
		t.Errorf("version %d was published while a refresh runs", got)
	}
	h.Settle("b")
	h.expectBoots("then", "web", third, third, third)
	if diff := cmp.Diff([]string{"Successful", "Successful"}, h.refreshes("web")); diff != "" {
		t.Errorf("refreshes (-want +got):\n%s", diff)
	}
}

func TestLaunchTemplateTakenBack(t *testing.T) {
	h, first := provenHosts(t, "1", follows)
	for range 4 {
		h.setVersion("web", "1")
		h.Settle("b")
	}
	b := h.Binding("b")
	h.Expect("four times", b, map[string]string{"Applied": "False RivalWriter", "Stalled": "True RivalWriter"})
	if got := Message(b, "Applied"); !strings.Contains(got, "another user of AWS took back /dev/xvdb of launch template "+h.id+" 4 times") ||
		!strings.Contains(got, "ignore_changes = [launch_template[0].version, mixed_instances_policy]") {
		t.Errorf("it says %q", got)
	}
	h.Ask("b", "again")
	h.Settle("b")
	h.expectBoots("asked", "web", first)
}

// TestLaunchTemplateOwnerPublishes carries the owner's new AMI over: $Latest follows, and the snapshot with it.
func TestLaunchTemplateOwnerPublishes(t *testing.T) {
	h, first := provenHosts(t, "$Latest", follows)
	h.publish("ami-0fedcba9876543210")
	b := h.Settle("b")
	h.Expect("afterwards", b, map[string]string{"Ready": "True Ready"})
	h.expectBoots("afterwards", "web", first)
	if got, want := h.versions()[4], "ami-0fedcba9876543210 /dev/xvda:8: /dev/xvdb:60:"+first; got != want {
		t.Errorf("version 4 is %s, want %s", got, want)
	}
	h.Unbind("b")
	h.Settle("b")
	if got, want := h.versions()[5], "ami-0fedcba9876543210 /dev/xvda:8: /dev/xvdb:60:"; got != want {
		t.Errorf("version 5 is %s, want %s", got, want)
	}
}

func TestLaunchTemplateOfAMixedPolicy(t *testing.T) {
	h := newHosts(New(t, scalingOptions()))
	own := h.id
	h.other("others")
	others := h.id
	h.id = own
	h.group("web", "1", 0)
	specification := func(id, version string) *scalingtypes.LaunchTemplateSpecification {
		return &scalingtypes.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: &version}
	}
	_, err := h.scaling.UpdateAutoScalingGroup(h.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("web"), MixedInstancesPolicy: &scalingtypes.MixedInstancesPolicy{
			InstancesDistribution: &scalingtypes.InstancesDistribution{SpotAllocationStrategy: aws.String("price-capacity-optimized")},
			LaunchTemplate: &scalingtypes.LaunchTemplate{
				LaunchTemplateSpecification: specification(own, "1"),
				Overrides: []scalingtypes.LaunchTemplateOverrides{
					{InstanceType: aws.String("g6.xlarge"), LaunchTemplateSpecification: specification(own, "1")},
					{InstanceType: aws.String("m7g.large"), LaunchTemplateSpecification: specification(others, "1")},
				},
			},
		},
	})
	h.Must(err)
	h.AWS.SetDesired("web", 4)
	policy := func() string {
		of := h.read("web").MixedInstancesPolicy
		line := fmt.Sprintf("%s %s", *of.InstancesDistribution.SpotAllocationStrategy, *of.LaunchTemplate.LaunchTemplateSpecification.Version)
		for _, override := range of.LaunchTemplate.Overrides {
			line += fmt.Sprintf(" %s:%s", *override.InstanceType, *override.LaunchTemplateSpecification.Version)
		}
		return line
	}
	h.Renew(v1alpha1.FormatBottlerocket)
	h.Bind("b", h.target(rolledBack("web")))
	b := h.Settle("b")
	h.Expect("bound", b, map[string]string{"Ready": "True Ready"})
	if got, want := policy(), "price-capacity-optimized 2 g6.xlarge:2 m7g.large:1"; got != want {
		t.Errorf("the policy is %s, want %s", got, want)
	}
	h.Unbind("b")
	h.Settle("b")
	if got, want := policy(), "price-capacity-optimized 3 g6.xlarge:3 m7g.large:1"; got != want {
		t.Errorf("the policy is %s, want %s", got, want)
	}
}

// TestLaunchTemplateOfTwoBindings has one name the template by its id and one by its name.
func TestLaunchTemplateOfTwoBindings(t *testing.T) {
	h, first := provenHosts(t, "$Latest", follows)
	target := h.target()
	target.LaunchTemplate.ID, target.LaunchTemplate.Name = "", "hosts"
	h.Bind("c", target)
	c := h.Settle("c")
	h.Expect("the second", c, map[string]string{"Ready": "False DeviceClaimedByOtherBinding"})
	h.Unbind("c")
	if c := h.Settle("c"); c != nil {
		t.Errorf("the second stays: %s", Message(c, "Ready"))
	}
	h.Expect("the first", h.Settle("b"), map[string]string{"Ready": "True Ready"})
	h.expectBoots("afterwards", "web", first)
}

// TestLaunchTemplateRefreshCancelled does not start again what a person cancelled.
func TestLaunchTemplateRefreshCancelled(t *testing.T) {
	cases := map[string]struct {
		reason  string
		group   func(string) v1alpha1.AutoScalingGroup
		ready   string
		started int
	}{
		"without a way back": {"new instances boot with it all the same", refreshed, "True Ready", 1},
		"with a way back":    {"the group names the version before", rolledBack, "False RolledBack", 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h, _ := provenHosts(t, "1", tc.group)
			second := h.Renew(v1alpha1.FormatBottlerocket)
			h.SettleUntil("b", "the second is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
			_, err := h.scaling.CancelInstanceRefresh(h.Context(), &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("web")})
			h.Must(err)
			h.Wait(refreshStep)
			h.Expect(tc.reason, h.Settle("b"), map[string]string{"Ready": tc.ready})
			if got := h.refreshes("web"); len(got) != tc.started || got[tc.started-1] != "Cancelled" {
				t.Errorf("%s: refreshes %v", tc.reason, got)
			}
		})
	}
}
