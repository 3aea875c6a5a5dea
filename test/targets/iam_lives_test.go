package targets_test

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	batchtypes "github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/batchcomputeenvironment"
	"github.com/larder-dev/larder/controllers/binding/launchtemplate"
	"github.com/larder-dev/larder/internal/aws/ami"
	larderbatch "github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

// life is what a binding of a target goes through in the account, from its creation to its end.
type life struct {
	options targets.Options
	format  v1alpha1.Format
	// build makes what is bound, as its owner does.
	build func(*targets.World) v1alpha1.Target
}

// lives are by the names of the targets' policies. In each, the target asks AWS for everything that it ever does.
func lives() map[string]life {
	return map[string]life{
		"managed-node-group": {groupOptions(), v1alpha1.FormatBottlerocket, func(w *targets.World) v1alpha1.Target {
			inGroupWorld(w, nil)
			return webTarget()
		}},
		"launch-template":           {templateOptions(), v1alpha1.FormatBottlerocket, buildTemplate},
		"batch-compute-environment": {environmentOptions(), v1alpha1.FormatFiles, buildEnvironment},
		"ecs-service":               {ecsOptions, v1alpha1.FormatFiles, buildService},
	}
}

// tell has the target renewed until old versions of launch templates are pruned, and given back.
func (l life) tell(w *targets.World) {
	w.Helper()
	target := l.build(w)
	w.Renew(l.format)
	w.Bind("b", target)
	w.Settle("b")
	for range 3 {
		w.Renew(l.format)
		w.Expect("renewed", w.Settle("b"), map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	}
	w.Unbind("b")
	if b := w.Settle("b"); b != nil {
		w.Fatalf("the binding stays: %+v", b.Status)
	}
}

func ownTemplate(w *targets.World) string {
	w.Helper()
	made, err := ec2.NewFromConfig(w.AWS.Config()).CreateLaunchTemplate(w.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("hosts"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: aws.String("ami-0123456789abcdef0"),
			BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{{
				DeviceName: aws.String("/dev/xvdb"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(60)},
			}},
		},
	})
	w.Must(err)
	return aws.ToString(made.LaunchTemplate.LaunchTemplateId)
}

func templateOptions() targets.Options {
	return targets.Options{
		AWS: fakeaws.Options{RefreshStep: updateTime},
		Targets: func(p targets.Process) binding.Targets {
			client := launch.New(p.AWS)
			return binding.Targets{&launchtemplate.Target{Bindings: p.Client, Templates: client, Groups: client, Scaling: client, Images: ami.New(p.AWS, p.Clock)}}
		},
	}
}

// buildTemplate has an Auto Scaling group name the template's version by its number.
func buildTemplate(w *targets.World) v1alpha1.Target {
	w.Helper()
	id := ownTemplate(w)
	_, err := autoscaling.NewFromConfig(w.AWS.Config()).CreateAutoScalingGroup(w.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(0), MaxSize: aws.Int32(2), AvailabilityZones: []string{targets.Region + "a"},
		LaunchTemplate: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: aws.String("1")},
	})
	w.Must(err)
	w.AWS.SetDesired("web", 1)
	group := v1alpha1.AutoScalingGroup{Name: "web", InstanceRefresh: &v1alpha1.InstanceRefresh{}}
	return v1alpha1.Target{LaunchTemplate: &v1alpha1.LaunchTemplateTarget{
		ID: id, SetDefault: true, AutoScalingGroups: []v1alpha1.AutoScalingGroup{group}, Device: v1alpha1.Device{Name: "/dev/xvdb"},
	}}
}

func environmentOptions() targets.Options {
	return targets.Options{
		AWS: fakeaws.Options{ComputeEnvironmentFor: updateTime},
		Targets: func(p targets.Process) binding.Targets {
			return binding.Targets{&batchcomputeenvironment.Target{Bindings: p.Client,
				Environments: larderbatch.New(p.AWS), Templates: launch.New(p.AWS), Images: ami.New(p.AWS, p.Clock), Clock: p.Clock,
			}}
		},
	}
}

func buildEnvironment(w *targets.World) v1alpha1.Target {
	w.Helper()
	id := ownTemplate(w)
	_, err := batch.NewFromConfig(w.AWS.Config()).CreateComputeEnvironment(w.Context(), &batch.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: aws.String("gpu"), Type: batchtypes.CETypeManaged,
		ComputeResources: &batchtypes.ComputeResource{
			Type: batchtypes.CRTypeEc2, AllocationStrategy: batchtypes.CRAllocationStrategyBestFitProgressive,
			MinvCpus: aws.Int32(8), MaxvCpus: aws.Int32(64), InstanceTypes: []string{"g5"}, Subnets: []string{"subnet-1"},
			InstanceRole:   aws.String("ecsInstanceRole"),
			LaunchTemplate: &batchtypes.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: aws.String("1")},
		},
	})
	w.Must(err)
	w.Wait(updateTime)
	return v1alpha1.Target{BatchComputeEnvironment: &v1alpha1.BatchComputeEnvironmentTarget{
		Name: "gpu", Device: v1alpha1.Device{Name: "/dev/xvdb"},
	}}
}

// buildService has tasks run on a capacity provider, of which ECS has to be asked.
func buildService(w *targets.World) v1alpha1.Target {
	w.Helper()
	inECS(w).createService(func(service *ecs.CreateServiceInput) {
		service.LaunchType = ""
		service.CapacityProviderStrategy = []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("gpus"), Weight: 1}}
	})
	return v1alpha1.Target{ECSService: &v1alpha1.ECSServiceTarget{Cluster: "prod", Service: "llm", VolumeName: "models"}}
}
