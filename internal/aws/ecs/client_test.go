package ecs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ecs"
	"github.com/larder-dev/larder/test/fakeaws"
)

const taskStart = time.Minute

// account is what others do in an AWS account besides Larder: the cluster prod with the service web, of two tasks.
type account struct {
	*testing.T
	*fakeaws.Server
	clock *testingclock.FakePassiveClock
	sdk   *sdk.Client
	*ecs.Client
}

var empty = ecs.Volume{Name: "data", SizeGiB: 10, FilesystemType: "ext4", RoleARN: "arn:aws:iam::111122223333:role/ecs"}

func newAccount(t *testing.T) account {
	t.Helper()
	clock := testingclock.NewFakePassiveClock(time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC))
	server := fakeaws.NewForTest(t, fakeaws.Options{Clock: clock, TaskStart: taskStart})
	a := account{t, server, clock, sdk.NewFromConfig(server.Config()), ecs.New(server.Config())}
	_, err := a.sdk.CreateCluster(t.Context(), &sdk.CreateClusterInput{ClusterName: aws.String("prod")})
	a.must(err)
	_, err = a.sdk.RegisterTaskDefinition(t.Context(), &sdk.RegisterTaskDefinitionInput{
		Family: aws.String("web"), RuntimePlatform: &types.RuntimePlatform{OperatingSystemFamily: types.OSFamilyLinux},
		Volumes: []types.Volume{{Name: aws.String("data"), ConfiguredAtLaunch: aws.Bool(true)}, {Name: aws.String("scratch")}},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("web"), MountPoints: []types.MountPoint{{SourceVolume: aws.String("data"), ContainerPath: aws.String("/data")}},
		}},
	})
	a.must(err)
	_, err = a.sdk.CreateService(t.Context(), &sdk.CreateServiceInput{
		Cluster: aws.String("prod"), ServiceName: aws.String("web"), TaskDefinition: aws.String("web"), DesiredCount: aws.Int32(2),
		LaunchType: types.LaunchTypeFargate, PlatformVersion: aws.String("1.4.0"),
		DeploymentConfiguration: &types.DeploymentConfiguration{
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		},
	})
	a.must(err)
	a.wait(taskStart)
	a.update(empty)
	a.wait(taskStart)
	return a
}

func (a account) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

func (a account) wait(d time.Duration) { a.clock.SetTime(a.clock.Now().Add(d)) }

func (a account) update(volumes ...ecs.Volume) {
	a.Helper()
	a.must(a.UpdateVolumes(a.Context(), "prod", "web", volumes))
}

func (a account) rollout() ecs.Rollout {
	a.Helper()
	rollout, found, err := a.LatestRollout(a.Context(), "prod", "web")
	a.must(err)
	if !found {
		a.Fatal("the service was never deployed")
	}
	return rollout
}

func from(snapshot string) ecs.Volume {
	volume := empty
	volume.SnapshotID = snapshot
	return volume
}

func TestService(t *testing.T) {
	a := newAccount(t)
	const arn = "arn:aws:ecs:us-west-2:111122223333:service/prod/web"
	a.must(a.Tag(t.Context(), arn, map[string]string{"larder.dev/a": "1", "team": "ml"}))
	a.must(a.Untag(t.Context(), arn, []string{"team", "none"}))
	got, err := a.Service(t.Context(), "prod", "web")
	a.must(err)
	primary := got.Primary()
	want := ecs.Service{
		ARN: arn, Cluster: "prod", Name: "web", Status: "ACTIVE", Scheduling: "REPLICA", Controller: "ECS", LaunchType: "FARGATE",
		PlatformVersion: "1.4.0", CircuitBreaker: true, TaskDefinition: "arn:aws:ecs:us-west-2:111122223333:task-definition/web:1",
		DesiredTasks: 2, Tags: map[string]string{"larder.dev/a": "1"},
		Deployments: []ecs.Deployment{{
			ID: primary.ID, Primary: true, RolloutState: "COMPLETED", Reason: "ECS deployment " + primary.ID + " completed.",
			CreatedAt: a.clock.Now().Add(-taskStart), Running: 2, Volumes: []ecs.Volume{empty},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" || !got.CanBeTagged() {
		t.Errorf("service, to be tagged: %t (-want +got):\n%s", got.CanBeTagged(), diff)
	}
}

func TestAVolumeIsReadAsItWasWritten(t *testing.T) {
	a := newAccount(t)
	id := a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
	want := ecs.Volume{
		Name: "data", SnapshotID: id, SizeGiB: 20, Type: "gp3", IOPS: 4000, Throughput: 500, InitializationRate: 200, FilesystemType: "ext4",
		RoleARN: "arn:aws:iam::111122223333:role/ecs", Encrypted: aws.Bool(true), KMSKeyID: "alias/data",
		Tags: []ecs.VolumeTags{{ResourceType: "volume", PropagateTags: "SERVICE", Tags: map[string]string{"team": "ml", "stage": "prod"}}},
	}
	a.update(want)
	got, err := a.Service(t.Context(), "prod", "web")
	a.must(err)
	if diff := cmp.Diff([]ecs.Volume{want}, got.Primary().Volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	a.update()
	if got, err = a.Service(t.Context(), "prod", "web"); err != nil || got.Primary().Volumes != nil {
		t.Errorf("volumes %+v, %v, want none: an empty list removes them", got.Primary().Volumes, err)
	}
}

func TestLatestRollout(t *testing.T) {
	a := newAccount(t)
	good, bad := from(a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})), from("snap-0123456789abcdef0")
	began := a.clock.Now()
	a.update(good)
	before := [][]ecs.Volume{{empty}}
	deploying := ecs.Rollout{State: ecs.Deploying, CreatedAt: began, Volumes: []ecs.Volume{good}, Before: before}
	if diff := cmp.Diff(deploying, a.rollout()); diff != "" {
		t.Errorf("while tasks start (-want +got):\n%s", diff)
	}
	a.wait(taskStart)
	if service, err := a.Service(t.Context(), "prod", "web"); err != nil || service.LastTrouble.Message != "" {
		t.Errorf("trouble %+v, %v, want none: a steady state is no trouble", service.LastTrouble, err)
	}
	deployed := deploying
	deployed.State = ecs.Deployed
	if diff := cmp.Diff(deployed, a.rollout()); diff != "" {
		t.Errorf("when they run (-want +got):\n%s", diff)
	}
	began = a.clock.Now()
	a.update(bad)
	a.wait(time.Hour)
	a.rollout() // in which the double sees that the circuit breaker opened
	const why = "(service web) was unable to start a task. Reason: The snapshot 'snap-0123456789abcdef0' does not exist."
	if service, err := a.Service(t.Context(), "prod", "web"); err != nil || service.LastTrouble != (ecs.Event{At: began.Add(taskStart), Message: why}) {
		t.Errorf("trouble %+v, %v, want %s", service.LastTrouble, err, why)
	}
	undone := ecs.Rollout{
		State: ecs.Undone, CreatedAt: began, Volumes: []ecs.Volume{bad}, Before: [][]ecs.Volume{{good}},
		Reason: "Service deployment rolled back because the circuit breaker threshold was exceeded.",
	}
	if diff := cmp.Diff(undone, a.rollout()); diff != "" {
		t.Errorf("when ECS went back (-want +got):\n%s", diff)
	}
}

func TestLatestRolloutAmongMoreThanAPage(t *testing.T) {
	a := newAccount(t)
	for size := range int64(101) {
		volume := empty
		volume.SizeGiB = 100 + size
		a.update(volume)
		a.wait(taskStart)
	}
	calls := a.Calls("ListServiceDeployments")
	if got := a.rollout().Volumes[0].SizeGiB; got != 200 {
		t.Errorf("the latest one has %d GiB, want 200", got)
	}
	if got := a.Calls("ListServiceDeployments") - calls; got != 2 {
		t.Errorf("%d calls, want one for each page", got)
	}
}

func TestTaskDefinition(t *testing.T) {
	a := newAccount(t)
	got, err := a.TaskDefinition(t.Context(), "arn:aws:ecs:us-west-2:111122223333:task-definition/web:1")
	a.must(err)
	want := ecs.TaskDefinition{Name: "web:1", OperatingSystem: "LINUX", ConfiguredAtLaunch: []string{"data"}, Mounted: []string{"data"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("task definition (-want +got):\n%s", diff)
	}
}

func TestManagedInstances(t *testing.T) {
	a := newAccount(t)
	a.AddManagedInstances("gpus")
	got, err := a.ManagedInstances(t.Context(), "prod", []string{"FARGATE", "gpus", "workers"})
	a.must(err)
	if diff := cmp.Diff([]string{"gpus"}, got); diff != "" {
		t.Errorf("Managed Instances (-want +got):\n%s", diff)
	}
	if got, err := a.ManagedInstances(t.Context(), "prod", []string{"FARGATE_SPOT"}); err != nil || got != nil || a.Calls("DescribeCapacityProviders") != 1 {
		t.Errorf("%v, %v, want no answer for Fargate, and no call", got, err)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	a := newAccount(t)
	for name, read := range map[string]func() error{
		"a cluster":           func() error { _, err := a.Service(t.Context(), "none", "web"); return err },
		"a service":           func() error { _, err := a.Service(t.Context(), "prod", "none"); return err },
		"a service's history": func() error { _, _, err := a.LatestRollout(t.Context(), "prod", "none"); return err },
		"a service to update": func() error { return a.UpdateVolumes(t.Context(), "prod", "none", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := read(); !larderaws.IsNotFound(err) {
				t.Errorf("error %v, want one that says that it is not there", err)
			}
		})
	}
}

func TestRefusalsAreForAPerson(t *testing.T) {
	a := newAccount(t)
	other := empty
	other.Name = "other"
	if err := a.UpdateVolumes(t.Context(), "prod", "web", []ecs.Volume{other}); larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("error %v, want one that stalls: no such volume", err)
	}
	if _, err := a.TaskDefinition(t.Context(), "none:1"); larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("error %v, want one that stalls: no such task definition", err)
	}
	for _, action := range []string{"DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions", "DescribeTaskDefinition", "DescribeCapacityProviders", "UpdateService", "ecs:TagResource", "ecs:UntagResource"} {
		a.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Denied})
	}
	_, service := a.Service(t.Context(), "prod", "web")
	_, _, rollout := a.LatestRollout(t.Context(), "prod", "web")
	_, definition := a.TaskDefinition(t.Context(), "web:1")
	_, providers := a.ManagedInstances(t.Context(), "prod", []string{"x"})
	for doing, err := range map[string]error{
		"describing ECS service web of cluster prod": service, "reading the deployments of ECS service web of cluster prod": rollout,
		"describing ECS task definition web:1": definition, "describing the ECS capacity providers [x] of cluster prod": providers,
		"updating the volumes of ECS service web of cluster prod": a.UpdateVolumes(t.Context(), "prod", "web", nil),
		"tagging arn":            a.Tag(t.Context(), "arn", map[string]string{"a": "b"}),
		"removing tags from arn": a.Untag(t.Context(), "arn", []string{"a"}),
	} {
		if !larderaws.IsAccessDenied(err) || fmt.Sprint(err)[:len(doing)] != doing {
			t.Errorf("error %v, want a refusal while %s", err, doing)
		}
	}
}
