package targets_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ecsservice"
	larderecs "github.com/larder-dev/larder/internal/aws/ecs"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/targets"
)

const infrastructureRole = "arn:aws:iam::111122223333:role/ecsInfrastructureRole"

// ecsOptions have a task start within two minutes.
var ecsOptions = targets.Options{
	AWS: fakeaws.Options{TaskStart: 2 * time.Minute},
	Targets: func(p targets.Process) binding.Targets {
		client := larderecs.New(p.AWS)
		return binding.Targets{&ecsservice.Target{Reader: client, Writer: client}}
	},
}

// ecsWorld is a world with a cluster, prod, and the service llm, whose two tasks mount an empty volume, models.
type ecsWorld struct {
	*targets.World
	ecs *ecs.Client
}

func inECS(w *targets.World) ecsWorld { return ecsWorld{w, ecs.NewFromConfig(w.AWS.Config())} }

func newECS(t *testing.T, edits ...func(*ecs.CreateServiceInput)) ecsWorld {
	t.Helper()
	w := inECS(targets.New(t, ecsOptions))
	w.createService(edits...)
	return w
}

func (w ecsWorld) createService(edits ...func(*ecs.CreateServiceInput)) {
	w.Helper()
	_, err := w.ecs.CreateCluster(w.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("prod")})
	w.Must(err)
	w.register("models")
	service := &ecs.CreateServiceInput{
		Cluster: aws.String("prod"), ServiceName: aws.String("llm"), TaskDefinition: aws.String("llm"), DesiredCount: aws.Int32(2),
		LaunchType: types.LaunchTypeFargate,
		DeploymentConfiguration: &types.DeploymentConfiguration{
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		},
		VolumeConfigurations: []types.ServiceVolumeConfiguration{emptyVolume()},
	}
	for _, edit := range edits {
		edit(service)
	}
	_, err = w.ecs.CreateService(w.Context(), service)
	w.Must(err)
	w.Wait(time.Hour)
}

// register makes a revision of the task definition llm, whose container mounts a volume that is configured at launch.
func (w ecsWorld) register(volume string) {
	w.Helper()
	_, err := w.ecs.RegisterTaskDefinition(w.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("llm"), Volumes: []types.Volume{{Name: &volume, ConfiguredAtLaunch: aws.Bool(true)}},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("server"), Image: aws.String("llm:1"),
			MountPoints: []types.MountPoint{{SourceVolume: &volume, ContainerPath: aws.String("/models")}},
		}},
	})
	w.Must(err)
}

func emptyVolume() types.ServiceVolumeConfiguration {
	return types.ServiceVolumeConfiguration{Name: aws.String("models"), ManagedEBSVolume: &types.ServiceManagedEBSVolumeConfiguration{
		RoleArn: aws.String(infrastructureRole), SizeInGiB: aws.Int32(10), VolumeType: aws.String("gp2"), Encrypted: aws.Bool(true),
		TagSpecifications: []types.EBSTagSpecification{{
			ResourceType: types.EBSResourceTypeVolume, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}},
		}},
	}}
}

func (w ecsWorld) service() *types.Service {
	w.Helper()
	answer, err := w.ecs.DescribeServices(w.Context(), &ecs.DescribeServicesInput{
		Cluster: aws.String("prod"), Services: []string{"llm"}, Include: []types.ServiceField{types.ServiceFieldTags},
	})
	w.Must(err)
	return &answer.Services[0]
}

func (w ecsWorld) volume() *types.ServiceManagedEBSVolumeConfiguration {
	w.Helper()
	return w.service().Deployments[0].VolumeConfigurations[0].ManagedEBSVolume
}

// rollouts counts how often the service was deployed.
func (w ecsWorld) rollouts() int {
	w.Helper()
	answer, err := w.ecs.ListServiceDeployments(w.Context(), &ecs.ListServiceDeploymentsInput{
		Cluster: aws.String("prod"), Service: aws.String("llm"), MaxResults: aws.Int32(100),
	})
	w.Must(err)
	return len(answer.ServiceDeployments)
}

// deploy changes the service as its owner does.
func (w ecsWorld) deploy(edit func(*ecs.UpdateServiceInput)) {
	w.Helper()
	update := &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("llm")}
	edit(update)
	_, err := w.ecs.UpdateService(w.Context(), update)
	w.Must(err)
}

func (w ecsWorld) bind(edits ...func(*v1alpha1.NodeClassBinding)) {
	w.Helper()
	target := v1alpha1.Target{ECSService: &v1alpha1.ECSServiceTarget{Cluster: "prod", Service: "llm", VolumeName: "models"}}
	w.Bind("models", target, edits...)
}

func (w ecsWorld) wantFormer(why string) {
	w.Helper()
	if diff := cmp.Diff(emptyVolume().ManagedEBSVolume, w.volume(), ignoreSerde); diff != "" {
		w.Errorf("%s: the volume is not what it was before (-want +got):\n%s", why, diff)
	}
}

func (w ecsWorld) wantNoTags(why string) {
	w.Helper()
	for _, tag := range w.service().Tags {
		if strings.HasPrefix(*tag.Key, "larder.dev/") {
			w.Errorf("%s: tag %s=%s is left", why, *tag.Key, *tag.Value)
		}
	}
}

var ignoreSerde = cmp.FilterPath(func(path cmp.Path) bool {
	field, ok := path.Last().(cmp.StructField)
	return ok && field.Name() == "noSmithyDocumentSerde"
}, cmp.Ignore())

func TestECSServiceIsBoundRenewedAndRestored(t *testing.T) {
	w := newECS(t)
	first := w.Renew(v1alpha1.FormatFiles)
	w.bind()
	w.Expect("ECS is at work", w.SettleUntil("models", "it is written", targets.Is(v1alpha1.ConditionApplied, "True Applied")), map[string]string{
		v1alpha1.ConditionRolledOut: "False NodesOutdated",
	})
	w.Expect("all tasks run with it", w.Settle("models"), map[string]string{
		v1alpha1.ConditionReady: "True Ready", v1alpha1.ConditionRolledOut: "True NodesCurrent",
	})
	want := emptyVolume().ManagedEBSVolume
	want.SnapshotId, want.SizeInGiB, want.FilesystemType = &first, aws.Int32(40), types.TaskFilesystemTypeExt4
	if diff := cmp.Diff(want, w.volume(), ignoreSerde); diff != "" {
		t.Errorf("the volume (-want +got):\n%s", diff)
	}
	second := w.Renew(v1alpha1.FormatFiles)
	b := w.Settle("models")
	if *w.volume().SnapshotId != second || b.Status.LastKnownGoodSnapshotID != second || !b.Status.LastKnownGoodProven {
		t.Errorf("the volume names %s, want %s, and that is the last known good one: %+v", *w.volume().SnapshotId, second, b.Status)
	}
	w.Unbind("models")
	if left := w.Settle("models"); left != nil {
		t.Fatalf("the binding is still there: %+v", left.Status)
	}
	w.wantFormer("the binding is gone")
	w.wantNoTags("the binding is gone")
	if got := w.rollouts(); got != 4 {
		t.Errorf("the service was deployed %d times, want 4: made, bound, renewed, restored", got)
	}
}
