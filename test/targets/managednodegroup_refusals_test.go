package targets_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// TestNodeGroupRefusals has a first binding meet what keeps a group from being written: the condition says so, word for
// word, and nothing is half done.
func TestNodeGroupRefusals(t *testing.T) {
	issue := fakeaws.NodeGroupIssue{Code: "AsgInstanceLaunchFailures", Message: "Could not launch On-Demand Instances. InsufficientInstanceCapacity", ResourceIDs: []string{"eks-web-1"}}
	cases := map[string]struct {
		group     func(*fakeaws.NodeGroup)
		meanwhile func(w *groupWorld)
		target    func(*v1alpha1.ManagedNodeGroupTarget)
		condition string
		want      string
		message   string
	}{
		"a group that is not there": {
			meanwhile: func(w *groupWorld) { w.AWS.RemoveNodeGroup("prod", "web") },
			condition: "PreflightPassed", want: "False TargetMissing",
			message: "EKS has no node group web of a cluster prod in this account and Region: create it, or delete this binding and make one for " +
				"another group",
		},
		"a group that is going": {
			group:     func(g *fakeaws.NodeGroup) { g.Status = "DELETING" },
			condition: "PreflightPassed", want: "False TargetMissing",
			message: "EKS node group prod/web is being deleted (DELETING): delete this binding, or create the group again",
		},
		"a group that never came": {
			group:     func(g *fakeaws.NodeGroup) { g.Status, g.Issues = "CREATE_FAILED", []fakeaws.NodeGroupIssue{issue} },
			condition: "PreflightPassed", want: "False TargetDegraded",
			message: "EKS could not create EKS node group prod/web, since AsgInstanceLaunchFailures: Could not launch On-Demand Instances. " +
				"InsufficientInstanceCapacity (eks-web-1): EC2 launched no instance: see whether the snapshot, its KMS key and the instance type's " +
				"capacity are there for the Auto Scaling group: delete it and create it again",
		},
		"a group without a launch template": {
			group:     func(g *fakeaws.NodeGroup) { g.TemplateID = "" },
			condition: "PreflightPassed", want: "False NoLaunchTemplate",
			message: "EKS node group prod/web was created without a launch template, and EKS gives it none later: create another group with a " +
				"launch template that has the device, move the pods there, and bind that one",
		},
		"a template that was deleted, or is another account's": {
			group:     func(g *fakeaws.NodeGroup) { g.TemplateID = "lt-0fedcba9876543210" },
			condition: "PreflightPassed", want: "False LaunchTemplateNotFound",
			message: "this account has no launch template lt-0fedcba9876543210 in the operator's Region, and Larder cannot write another account's: " +
				"make one, or name one of this account",
		},
		"a version that was deleted": {
			group:     func(g *fakeaws.NodeGroup) { g.TemplateVersion = 7 },
			condition: "PreflightPassed", want: "False LaunchTemplateVersionNotFound",
			message: "version 7 of launch template lt-00000000000000001 does not exist any more, and nothing can be launched with it: have the " +
				"target launch with a version that exists",
		},
		"a group that is degraded": {
			group:     func(g *fakeaws.NodeGroup) { g.Status, g.Issues = "DEGRADED", []fakeaws.NodeGroupIssue{issue} },
			condition: "PreflightPassed", want: "False TargetDegraded",
			message: "EKS node group prod/web is DEGRADED, since AsgInstanceLaunchFailures: Could not launch On-Demand Instances. " +
				"InsufficientInstanceCapacity (eks-web-1): EC2 launched no instance: see whether the snapshot, its KMS key and the instance type's " +
				"capacity are there for the Auto Scaling group: it is not written to until EKS finds it healthy",
		},
		"the root device": {
			target:    func(g *v1alpha1.ManagedNodeGroupTarget) { g.Device.Name = "/dev/xvda" },
			condition: "PreflightPassed", want: "False DeviceInvalid",
			message: "/dev/xvda is the root device of the nodes, which boot from it: name the data device in device.name, /dev/xvdb for Bottlerocket",
		},
		"reading denied": {
			meanwhile: func(w *groupWorld) {
				w.AWS.Inject(fakeaws.Fault{Action: "DescribeNodegroup", Kind: fakeaws.Denied})
			},
			condition: "PreflightPassed", want: "False TargetUnreadable",
			message: "node group web of EKS cluster prod cannot be read, since AWS refuses eks:DescribeNodegroup: AccessDeniedException: User: " +
				"arn:aws:iam::111122223333:user/larder is not authorized to perform: eks:DescribeNodegroup: allow it to Larder's role",
		},
		"versions denied": {
			meanwhile: func(w *groupWorld) {
				w.AWS.Inject(fakeaws.Fault{Action: "CreateLaunchTemplateVersion", Kind: fakeaws.Denied})
			},
			condition: "Applied", want: "False WriteDenied",
			message: "launch template lt-00000000000000001 gets no version, since AWS refuses ec2:CreateLaunchTemplateVersion: " +
				"UnauthorizedOperation: User: arn:aws:iam::111122223333:user/larder is not authorized to perform: " +
				"ec2:CreateLaunchTemplateVersion: allow it to Larder's role",
		},
		"updates denied": {
			meanwhile: func(w *groupWorld) {
				w.AWS.Inject(fakeaws.Fault{Action: "UpdateNodegroupVersion", Kind: fakeaws.Denied})
			},
			condition: "Applied", want: "False WriteDenied",
			message: "EKS node group prod/web is not updated, since AWS refuses eks:UpdateNodegroupVersion: AccessDeniedException: User: " +
				"arn:aws:iam::111122223333:user/larder is not authorized to perform: eks:UpdateNodegroupVersion: allow it to Larder's role",
		},
		"launches denied to EKS": {
			meanwhile: func(w *groupWorld) {
				w.AWS.Inject(fakeaws.Fault{
					Action: "UpdateNodegroupVersion", Kind: fakeaws.Error, Status: 400, Code: "InvalidRequestException",
					Message: "You are not authorized to launch instances with this launch template. Encoded authorization failure message: c2VjcmV0",
				})
			},
			condition: "Applied", want: "False WriteDenied",
			message: "EKS node group prod/web is not updated to version 2 of launch template lt-00000000000000001, since EKS may not launch instances " +
				"with it on Larder's behalf: allow ec2:RunInstances and ec2:CreateTags to Larder's role",
		},
		"an update that EKS refuses": {
			meanwhile: func(w *groupWorld) {
				w.AWS.Inject(fakeaws.Fault{
					Action: "UpdateNodegroupVersion", Kind: fakeaws.Error, Status: 400, Code: "InvalidParameterException",
					Message: "Unsupported instance type in the launch template.",
				})
			},
			condition: "Applied", want: "False LaunchTemplateVersionRefused",
			message: "EKS does not update EKS node group prod/web to version 2 of launch template lt-00000000000000001: InvalidParameterException: " +
				"Unsupported instance type in the launch template.: mend the launch template, or the group",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newGroupWorld(t, c.group)
			if c.meanwhile != nil {
				c.meanwhile(w)
			}
			w.Renew(v1alpha1.FormatBottlerocket)
			target := webTarget()
			if c.target != nil {
				target = webTarget(c.target)
			}
			w.Bind("web", target)
			b := w.SettleUntil("web", "it says why", targets.Is(c.condition, c.want))
			if got := targets.Message(b, c.condition); got != c.message {
				t.Errorf("it says\n%s\nand should say\n%s", got, c.message)
			}
			if b.Status.AppliedSnapshotID != "" || len(w.versionsAskedFor()) > 0 {
				t.Errorf("%s is applied, and updates are %v", b.Status.AppliedSnapshotID, w.versionsAskedFor())
			}
			if made := w.AWS.Calls("CreateLaunchTemplateVersion") - w.AWS.Calls("DeleteLaunchTemplateVersions"); c.condition == "PreflightPassed" && made > 0 {
				t.Errorf("%d versions were made for nothing", made)
			}
			w.AWS.Heal()
			w.Unbind("web")
			if b := w.Settle("web"); b != nil {
				t.Errorf("the binding stays: %s", targets.Message(b, "Applied"))
			}
		})
	}
}

// TestNodeGroupVersionDeletedUnderUs has the version go that the group is on.
func TestNodeGroupVersionDeletedUnderUs(t *testing.T) {
	w := newGroupWorld(t, nil)
	w.bind()
	before := len(w.Mutations())
	later, err := w.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &w.templateID, LaunchTemplateData: w.data("")})
	w.Must(err)
	_, err = w.ec2.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: &w.templateID, Versions: []string{"2"}})
	w.Must(err)
	b := w.SettleUntil("web", "it says why", targets.Is("PreflightPassed", "False LaunchTemplateVersionNotFound"))
	const want = "version 2 of launch template lt-00000000000000001 does not exist any more, and nothing can be launched with it: have the " +
		"target launch with a version that exists"
	if got := targets.Message(b, "PreflightPassed"); got != want {
		t.Errorf("it says\n%s\nand should say\n%s", got, want)
	}
	if w.Wait(time.Hour); w.Pass("web") == nil || len(w.Mutations()) > before {
		t.Errorf("without the version Larder wrote: %v", w.Mutations()[before:])
	}
	w.update(strconv.FormatInt(aws.ToInt64(later.LaunchTemplateVersion.VersionNumber), 10))
	w.Wait(updateTime)
	w.Expect("on another version", w.Settle("web"), map[string]string{"Ready": "True Ready", "Applied": "True Applied"})
	w.wantDevices("on another version", w.boots(b.Status.AppliedSnapshotID))
}

// TestNodeGroupOneVersionForManyTries has EKS refuse an update for a while, and take it then.
func TestNodeGroupOneVersionForManyTries(t *testing.T) {
	w := newGroupWorld(t, nil)
	w.AWS.Inject(fakeaws.Fault{Action: "UpdateNodegroupVersion", Kind: fakeaws.Denied, Times: 5})
	first := w.bind()
	w.wantDevices("at last", w.boots(first))
	w.wantUpdates("one", "2 Successful")
	if got := w.AWS.Calls("CreateLaunchTemplateVersion"); got != 1 {
		t.Errorf("%d versions for one snapshot", got)
	}
}

// TestNodeGroupBusyForOthers has somebody else's change run: Larder waits for it, tells a person after an hour, and goes on
// when it is over.
func TestNodeGroupBusyForOthers(t *testing.T) {
	options := groupOptions()
	options.AWS.NodeGroupUpdateFor = 90 * time.Minute
	w := inGroupWorld(targets.New(t, options), nil)
	asked, err := w.eks.UpdateNodegroupConfig(t.Context(), &eks.UpdateNodegroupConfigInput{
		ClusterName: aws.String("prod"), NodegroupName: aws.String("web"), ScalingConfig: &ekstypes.NodegroupScalingConfig{DesiredSize: aws.Int32(4)},
	})
	w.Must(err)
	id := aws.ToString(asked.Update.Id)
	first := w.Renew(v1alpha1.FormatBottlerocket)
	w.Bind("web", webTarget())
	b := w.Pass("web")
	w.Expect("for a while", b, map[string]string{"Applied": "False UpdateInProgress", "Stalled": "absent"})
	want := first + " is not written to /dev/xvdb of EKS node group prod/web while the platform is changing it: EKS is at work on EKS node " +
		"group prod/web since 2026-03-02 09:00 UTC (ConfigUpdate " + id + ", which Larder did not ask for), and takes no other change meanwhile; " +
		"no snapshot of this binding is in use yet"
	if got := targets.Message(b, "Applied"); got != want {
		t.Errorf("it says\n%s\nand should say\n%s", got, want)
	}
	b = w.SettleUntil("web", "a person is told", targets.Is("Stalled", "True UpdateInProgress"))
	if waited := w.Clock.Now().Sub(aws.ToTime(asked.Update.CreatedAt)); waited < time.Hour || waited > 61*time.Minute {
		t.Errorf("told after %s", waited)
	}
	want = first + " is not written to /dev/xvdb of EKS node group prod/web while the platform is changing it: EKS has been at work on EKS node " +
		"group prod/web since 2026-03-02 09:00 UTC (ConfigUpdate " + id + ", which Larder did not ask for), and takes no other change meanwhile: " +
		"see what holds it up with aws eks describe-update --name prod --nodegroup-name web --update-id " + id +
		"; no snapshot of this binding is in use yet"
	if got := targets.Message(b, "Applied"); got != want {
		t.Errorf("it says\n%s\nand should say\n%s", got, want)
	}
	if calls := w.AWS.Calls("UpdateNodegroupVersion") + w.AWS.Calls("CreateLaunchTemplateVersion"); calls > 0 {
		t.Errorf("%d calls while somebody else's update ran", calls)
	}
	w.Settle("web")
	w.wantDevices("after it", w.boots(first))
	w.wantUpdates("after it", "2 Successful")
}

// TestNodeGroupNeverTwoUpdates has a newer snapshot come while the one before is on its way.
func TestNodeGroupNeverTwoUpdates(t *testing.T) {
	w := newGroupWorld(t, nil)
	w.Renew(v1alpha1.FormatBottlerocket)
	w.Bind("web", webTarget())
	w.Pass("web")
	w.Wait(targets.Interval)
	second := w.Renew(v1alpha1.FormatBottlerocket)
	w.Expect("while the first is on its way", w.Pass("web"), map[string]string{"Applied": "False UpdateInProgress"})
	if got := w.AWS.Calls("UpdateNodegroupVersion"); got != 1 {
		t.Errorf("%d updates were asked for at once", got)
	}
	w.Settle("web")
	w.wantDevices("in the end", w.boots(second))
	w.wantUpdates("one after the other", "2 Successful", "3 Successful")
}

// TestNodeGroupForce has a group whose pods are not waited for, which only the binding can ask for.
func TestNodeGroupForce(t *testing.T) {
	w := newGroupWorld(t, nil)
	w.Renew(v1alpha1.FormatBottlerocket)
	w.Bind("web", webTarget(func(g *v1alpha1.ManagedNodeGroupTarget) { g.Force = true }))
	w.Settle("web")
	if all := w.AWS.NodeGroupUpdates("prod", "web"); len(all) != 1 || !all[0].Force {
		t.Errorf("updates %+v", all)
	}
}

// TestNodeGroupPrunes has versions go that were made for the binding and that nothing needs, and no other.
func TestNodeGroupPrunes(t *testing.T) {
	w := newGroupWorld(t, nil)
	_, err := w.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &w.templateID, LaunchTemplateData: w.data("")})
	w.Must(err)
	w.bind()
	for range 3 {
		newer := w.Renew(v1alpha1.FormatBottlerocket)
		w.SettleUntil("web", "it is proven", func(b *v1alpha1.NodeClassBinding) bool {
			return b.Status.LastKnownGoodSnapshotID == newer && b.Status.LastKnownGoodProven
		})
	}
	w.Settle("web")
	out, err := w.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &w.templateID})
	w.Must(err)
	left := map[int64]bool{}
	for _, one := range out.LaunchTemplateVersions {
		left[aws.ToInt64(one.VersionNumber)] = true
	}
	if !left[1] || !left[2] || !left[6] || len(left) != 3 {
		t.Errorf("versions %v are left, want 1 and 2, which are a person's, and 6", left)
	}
}
