package collection

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkbatch "github.com/aws/aws-sdk-go-v2/service/batch"
	batchtypes "github.com/aws/aws-sdk-go-v2/service/batch/types"
	sdkecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/ecs"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// consumersOf are all that the operator asks.
func consumersOf(config aws.Config) []references.Consumers {
	templates := launch.New(config)
	return []references.Consumers{
		templates, eks.Uses{Groups: eks.New(config), Templates: templates},
		batch.Uses{Environments: batch.New(config), Templates: templates}, ecs.New(config),
	}
}

func (a *account) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// environment makes one of Batch's, and returns what deletes it.
func (a *account) environment(templates *batchtypes.LaunchTemplateSpecification) (end func()) {
	a.t.Helper()
	api, name := sdkbatch.NewFromConfig(a.server.Config()), aws.String("gpu")
	_, err := api.CreateComputeEnvironment(a.t.Context(), &sdkbatch.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: name, Type: batchtypes.CETypeManaged, State: batchtypes.CEStateDisabled,
		ComputeResources: &batchtypes.ComputeResource{
			Type: batchtypes.CRTypeEc2, AllocationStrategy: batchtypes.CRAllocationStrategyBestFitProgressive,
			MinvCpus: aws.Int32(0), MaxvCpus: aws.Int32(64), InstanceTypes: []string{"g5", "m5"}, Subnets: []string{"subnet-1"},
			InstanceRole: aws.String("ecsInstanceRole"), LaunchTemplate: templates,
		},
	})
	a.must(err)
	return func() {
		_, err := api.DeleteComputeEnvironment(a.t.Context(), &sdkbatch.DeleteComputeEnvironmentInput{ComputeEnvironment: name})
		a.must(err)
	}
}

// service makes one of ECS's, and returns what gives its tasks a volume of another snapshot, or of none.
func (a *account) service(tasks int32, snapshot string) (become func(tasks int32, snapshot string)) {
	a.t.Helper()
	api, cluster, name := sdkecs.NewFromConfig(a.server.Config()), aws.String("prod"), aws.String("inference")
	_, err := api.CreateCluster(a.t.Context(), &sdkecs.CreateClusterInput{ClusterName: cluster})
	a.must(err)
	_, err = api.RegisterTaskDefinition(a.t.Context(), &sdkecs.RegisterTaskDefinitionInput{
		Family: name, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: name}},
		Volumes: []ecstypes.Volume{{Name: aws.String("models"), ConfiguredAtLaunch: aws.Bool(true)}},
	})
	a.must(err)
	volumesOf := func(snapshot string) []ecstypes.ServiceVolumeConfiguration {
		volume := &ecstypes.ServiceManagedEBSVolumeConfiguration{
			RoleArn: aws.String("arn:aws:iam::111122223333:role/ecs"), SizeInGiB: aws.Int32(10), FilesystemType: ecstypes.TaskFilesystemTypeExt4,
		}
		if snapshot != "" {
			volume.SnapshotId = &snapshot
		}
		return []ecstypes.ServiceVolumeConfiguration{{Name: aws.String("models"), ManagedEBSVolume: volume}}
	}
	_, err = api.CreateService(a.t.Context(), &sdkecs.CreateServiceInput{
		Cluster: cluster, ServiceName: name, TaskDefinition: name, DesiredCount: &tasks, VolumeConfigurations: volumesOf(snapshot),
	})
	a.must(err)
	return func(tasks int32, snapshot string) {
		_, err := api.UpdateService(a.t.Context(), &sdkecs.UpdateServiceInput{
			Cluster: cluster, Service: name, DesiredCount: &tasks, VolumeConfigurations: volumesOf(snapshot),
		})
		a.must(err)
	}
}

func (a *account) content(source map[string]any) (end func()) {
	content := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"driver": "ebs.csi.aws.com", "source": source}}}
	content.SetGroupVersionKind(contentKind)
	content.SetName("models")
	a.create(content)
	return func() { a.must(a.client.Delete(a.t.Context(), content)) }
}

func named(version string) *batchtypes.LaunchTemplateSpecification {
	return &batchtypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("workers"), Version: &version}
}

// TestEachConsumerAlone has a snapshot that is due but for one consumer of it in the same Region, until that goes. Those
// that name a version of a launch template name one that is neither the latest nor the default one.
func TestEachConsumerAlone(t *testing.T) {
	const absent = "snap-0123456789abcdef0"
	cases := map[string]func(a *account, id, other string) (end func()){
		"EKS node group": func(a *account, id, other string) func() {
			a.server.AddNodeGroup(fakeaws.NodeGroup{Cluster: "prod", Name: "gpu", TemplateID: a.template(other, id, other), TemplateVersion: 2})
			return func() { a.server.RemoveNodeGroup("prod", "gpu") }
		},
		"Batch compute environment": func(a *account, id, other string) func() {
			a.template(other, id, other)
			return a.environment(named("2"))
		},
		"override of a Batch compute environment": func(a *account, id, other string) func() {
			a.template(other, id, other)
			templates := named("1")
			templates.Overrides = []batchtypes.LaunchTemplateSpecificationOverride{
				{LaunchTemplateName: aws.String("workers"), Version: aws.String("2"), TargetInstanceTypes: []string{"g5"}},
			}
			return a.environment(templates)
		},
		"ECS service": func(a *account, id, _ string) func() {
			become := a.service(2, id)
			return func() { become(2, "") }
		},
		"ECS service whose deployment fails": func(a *account, id, _ string) func() {
			become := a.service(0, id)
			become(2, absent)
			return func() { become(2, "") }
		},
		"VolumeSnapshotContent": func(a *account, id, _ string) func() {
			return a.content(map[string]any{"snapshotHandle": id})
		},
	}
	for name, use := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			id, other := a.add(home, due("", 1)), a.server.AddSnapshot(fakeaws.Snapshot{})
			end := use(a, id, other)
			a.sweep()
			a.clock.Step(40 * days)
			a.sweep()
			if !slices.Contains(a.left(), id) {
				t.Fatal("gone while it is in use")
			}
			end()
			a.sweep()
			if slices.Contains(a.left(), id) {
				t.Error("still there when nobody uses it")
			}
			if !slices.Contains(a.left(), other) {
				t.Error("a snapshot without any tag is gone")
			}
		})
	}
}

// TestAConsumerThatCannotBeReadKeepsAll: also those that it may have nothing to do with.
func TestAConsumerThatCannotBeReadKeepsAll(t *testing.T) {
	for _, action := range []string{"eks:ListClusters", "DescribeComputeEnvironments", "ecs:ListClusters"} {
		a := newAccount(t)
		id := a.add(home, due("", 1))
		a.server.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Denied})
		if err := a.collector.Sweep(t.Context()); err == nil || !slices.Contains(a.left(), id) {
			t.Errorf("%s is denied: %v, left %q, want an error, and the snapshot", action, err, a.left())
		}
		a.server.Heal()
		a.sweep()
		if slices.Contains(a.left(), id) {
			t.Errorf("%s is allowed: the snapshot is still there", action)
		}
	}
}
