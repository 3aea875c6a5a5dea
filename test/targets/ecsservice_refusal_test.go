package targets_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// volumeOf edits the volume that a service is made with.
func volumeOf(service *ecs.CreateServiceInput) *types.ServiceManagedEBSVolumeConfiguration {
	return service.VolumeConfigurations[0].ManagedEBSVolume
}

// ecsRefusal is a service, or a binding, that cannot be served.
type ecsRefusal struct {
	// world edits what there is before the service is made, and service the service; nil leaves them.
	world   func(ecsWorld)
	service func(*ecs.CreateServiceInput)
	target  func(*v1alpha1.ECSServiceTarget)
	format  v1alpha1.Format
	// reason is that of PreflightPassed, and says its message; SNAP stands for the snapshot.
	reason, says string
}

// ecsRefusals by what is wrong.
var ecsRefusals = map[string]ecsRefusal{
	"no such cluster": {
		target: func(s *v1alpha1.ECSServiceTarget) { s.Cluster = "test" },
		reason: v1alpha1.ReasonTargetMissing,
		says: "ECS service test/llm does not exist (ClusterNotFoundException: Cluster not found.): create it, or delete this binding " +
			"and make one for another service",
	},
	"no such service": {
		target: func(s *v1alpha1.ECSServiceTarget) { s.Service = "chat" },
		reason: v1alpha1.ReasonTargetMissing,
		says: "ECS service prod/chat does not exist (ServiceNotFoundException: MISSING): create it, or delete this binding and make " +
			"one for another service",
	},
	"deployed by CodeDeploy": {
		service: func(in *ecs.CreateServiceInput) {
			in.DeploymentController, in.VolumeConfigurations = &types.DeploymentController{Type: types.DeploymentControllerTypeCodeDeploy}, nil
		},
		reason: v1alpha1.ReasonUnsupportedTarget,
		says: "ECS service prod/llm is deployed by CODE_DEPLOY, and the volumes of its task sets cannot be configured: create a " +
			"service with the deployment controller ECS",
	},
	"task sets of its owner": {
		service: func(in *ecs.CreateServiceInput) {
			in.DeploymentController, in.VolumeConfigurations = &types.DeploymentController{Type: types.DeploymentControllerTypeExternal}, nil
		},
		reason: v1alpha1.ReasonUnsupportedTarget,
		says: "ECS service prod/llm is deployed by EXTERNAL, and the volumes of its task sets cannot be configured: create a service " +
			"with the deployment controller ECS",
	},
	"a daemon": {
		service: func(in *ecs.CreateServiceInput) {
			in.SchedulingStrategy, in.VolumeConfigurations, in.LaunchType = types.SchedulingStrategyDaemon, nil, types.LaunchTypeEc2
		},
		reason: v1alpha1.ReasonUnsupportedTarget,
		says: "ECS service prod/llm is of the scheduling strategy DAEMON, for which ECS makes no volumes: create a service of the " +
			"strategy REPLICA",
	},
	"Managed Instances": {
		world: func(w ecsWorld) { w.AWS.AddManagedInstances("gpus") },
		service: func(in *ecs.CreateServiceInput) {
			in.LaunchType, in.CapacityProviderStrategy = "", []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("gpus")}}
		},
		reason: v1alpha1.ReasonUnsupportedTarget,
		says: "ECS service prod/llm runs on ECS Managed Instances (capacity provider gpus), whose volumes Larder does not configure: " +
			"run it on EC2 or Fargate",
	},
	"an old Fargate": {
		service: func(in *ecs.CreateServiceInput) { in.PlatformVersion = aws.String("1.3.0") },
		reason:  v1alpha1.ReasonUnsupportedTarget,
		says: "ECS service prod/llm runs on Fargate's platform version 1.3.0, which attaches no EBS volumes: update it to 1.4.0 or " +
			"later",
	},
	"no such volume": {
		target: func(s *v1alpha1.ECSServiceTarget) { s.VolumeName = "weights" },
		reason: v1alpha1.ReasonVolumeNotConfigurable,
		says: "task definition llm:1 of ECS service prod/llm has no volume weights that is configured at launch; models is: register a " +
			"revision whose volume weights has configuredAtLaunch, or name another volume",
	},
	"another format": {
		format: v1alpha1.FormatBottlerocket,
		reason: v1alpha1.ReasonFormatMismatch,
		says: "snapshot SNAP has the format Bottlerocket, which is for nodes, and the tasks of ECS service prod/llm read files: bind a " +
			"snapshot of the format Files",
	},
	"another filesystem": {
		target: func(s *v1alpha1.ECSServiceTarget) { s.FilesystemType = "xfs" },
		reason: v1alpha1.ReasonFilesystemMismatch,
		says: "ecsService.filesystemType is xfs, and snapshot SNAP has ext4: the tasks of ECS service prod/llm would not start; set it " +
			"to ext4, or leave it out",
	},
	"too small": {
		target: func(s *v1alpha1.ECSServiceTarget) { s.VolumeSize = quantity("20Gi") },
		reason: v1alpha1.ReasonVolumeSizeTooSmall,
		says: "ecsService.volumeSize 20Gi is below the 40 GiB of snapshot SNAP, and EC2 makes no volume smaller than its snapshot: " +
			"raise it to 40Gi or more, or leave it out",
	},
	"too large": {
		target: func(s *v1alpha1.ECSServiceTarget) { s.VolumeSize = quantity("17Ti") },
		reason: v1alpha1.ReasonDeviceInvalid,
		says: "volume models of ECS service prod/llm would have volumeSize 17408, and ECS takes at most 16384 for gp2: lower " +
			"ecsService.volumeSize",
	},
	"too fast": {
		target: func(s *v1alpha1.ECSServiceTarget) {
			s.VolumeType, s.IOPS, s.Throughput = "gp3", aws.Int32(8000), aws.Int32(2000)
		},
		reason: v1alpha1.ReasonDeviceInvalid,
		says: "volume models of ECS service prod/llm would have throughput 2000, and ECS takes at most 1000 for gp3: lower " +
			"ecsService.throughput",
	},
	"too many operations": {
		target: func(s *v1alpha1.ECSServiceTarget) { s.VolumeType, s.IOPS = "gp3", aws.Int32(20000) },
		reason: v1alpha1.ReasonDeviceInvalid,
		says: "volume models of ECS service prod/llm would have iops 20000, and ECS takes at most 16000 for gp3: lower " +
			"ecsService.iops",
	},
	"a hard disk": {
		service: func(in *ecs.CreateServiceInput) {
			volumeOf(in).VolumeType, volumeOf(in).SizeInGiB = aws.String("st1"), aws.Int32(200)
		},
		reason: v1alpha1.ReasonDeviceInvalid,
		says: "volume models of ECS service prod/llm is of the type st1, which is too slow to read images from: set " +
			"ecsService.volumeType to gp3",
	},
	"no role": {
		service: func(in *ecs.CreateServiceInput) { in.VolumeConfigurations = nil },
		reason:  v1alpha1.ReasonDeviceInvalid,
		says: "ECS service prod/llm has no volume models yet, so ECS needs to know the infrastructure role that makes it: set " +
			"ecsService.roleARN",
	},
	"a role that no tag holds": {
		service: func(in *ecs.CreateServiceInput) { volumeOf(in).RoleArn = aws.String(infrastructureRole + ",v2") },
		target:  func(s *v1alpha1.ECSServiceTarget) { s.RoleARN = infrastructureRole },
		reason:  v1alpha1.ReasonDeviceInvalid,
		says: "what the service says of volume models does not fit in a tag (\"size=10 type=gp2 role=" + infrastructureRole + ",v2\"), " +
			"so it could not be restored: leave ecsService.roleARN out, or give the service a role with a shorter ARN that has no comma",
	},
}

func quantity(text string) *resource.Quantity {
	value := resource.MustParse(text)
	return &value
}

func TestECSServiceRefusals(t *testing.T) {
	for name, c := range ecsRefusals {
		t.Run(name, func(t *testing.T) {
			w := inECS(targets.New(t, ecsOptions))
			if c.world != nil {
				c.world(w)
			}
			w.createService(func(in *ecs.CreateServiceInput) {
				if c.service != nil {
					c.service(in)
				}
			})
			format := v1alpha1.FormatFiles
			if c.format != "" {
				format = c.format
			}
			id := w.Renew(format)
			w.bind(func(b *v1alpha1.NodeClassBinding) {
				if c.target != nil {
					c.target(b.Spec.Target.ECSService)
				}
			})
			b := w.Settle("models")
			w.Expect(name, b, map[string]string{v1alpha1.ConditionPreflightPassed: "False " + c.reason, v1alpha1.ConditionApplied: "Unknown " + c.reason})
			if got, want := targets.Message(b, v1alpha1.ConditionPreflightPassed), strings.ReplaceAll(c.says, "SNAP", id); got != want {
				t.Errorf("it says\n%s, want\n%s", got, want)
			}
			if got := w.Mutations(); len(got) > 0 {
				t.Errorf("Larder wrote: %v", got)
			}
			w.Unbind("models")
			if left := w.Settle("models"); left != nil || len(w.Mutations()) > 0 {
				t.Errorf("what was never written is not restored: %v, and left is %v", w.Mutations(), left)
			}
		})
	}
}

func TestECSServiceDenied(t *testing.T) {
	const may = "User: arn:aws:iam::111122223333:user/larder is not authorized to perform: "
	const write = "the operator may not write ECS service prod/llm: allow its role ecs:UpdateService, ecs:TagResource and " +
		"ecs:UntagResource on arn:aws:ecs:us-west-2:111122223333:service/prod/llm, and iam:PassRole on the infrastructure role of its " +
		"volume; AccessDeniedException: " + may
	cases := map[string]struct {
		reason    string
		denied    string
		condition string
		want      string
		says      string
	}{
		"reading": {"nothing is known of the service", "DescribeServiceRevisions", v1alpha1.ConditionPreflightPassed,
			"False TargetUnreadable", "the operator may not read ECS service prod/llm: allow its role ecs:DescribeServices, " +
				"ecs:ListServiceDeployments, ecs:DescribeServiceDeployments, ecs:DescribeServiceRevisions, " +
				"ecs:DescribeTaskDefinition and ecs:DescribeCapacityProviders; AccessDeniedException: " + may + "ecs:DescribeServiceRevisions"},
		"tagging": {"what was before cannot be kept, so nothing is written", "ecs:TagResource", v1alpha1.ConditionApplied,
			"False WriteDenied", write + "ecs:TagResource"},
		"updating": {"the tags alone change nothing", "UpdateService", v1alpha1.ConditionApplied,
			"False WriteDenied", write + "ecs:UpdateService"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newECS(t)
			w.Renew(v1alpha1.FormatFiles)
			w.AWS.Inject(fakeaws.Fault{Action: c.denied, Kind: fakeaws.Denied})
			w.bind()
			b := w.SettleUntil("models", "it is denied", targets.Is(c.condition, c.want))
			w.Expect(c.reason, b, map[string]string{v1alpha1.ConditionStalled: "True " + strings.Fields(c.want)[1]})
			if got := targets.Message(b, c.condition); !strings.Contains(got, c.says) {
				t.Errorf("it says\n%s, want\n%s", got, c.says)
			}
			w.AWS.Heal()
			w.wantFormer(c.reason)
			w.Expect("it is allowed", w.Settle("models"), map[string]string{v1alpha1.ConditionReady: "True Ready"})
		})
	}
}

func TestECSServiceSizeFollowsASnapshotThatIsSmaller(t *testing.T) {
	w := newECS(t, func(in *ecs.CreateServiceInput) { volumeOf(in).SizeInGiB = aws.Int32(200) })
	w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Expect("the service has room", w.Settle("models"), map[string]string{v1alpha1.ConditionReady: "True Ready"})
	if got := *w.volume().SizeInGiB; got != 200 {
		t.Errorf("the volume has %d GiB, want the 200 that the service asks for", got)
	}
}
