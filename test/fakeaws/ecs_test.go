package fakeaws_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/test/fakeaws"
)

// taskStart is how long tasks take in these tests.
const taskStart = time.Minute

// ecsAccount has the cluster prod and the service web, of four tasks with an empty volume.
type ecsAccount struct {
	*testing.T
	*fakeaws.Server
	clock *testingclock.FakePassiveClock
	ecs   *ecs.Client
}

func newECSAccount(t *testing.T, edits ...func(*ecs.CreateServiceInput)) ecsAccount {
	t.Helper()
	clock := testingclock.NewFakePassiveClock(time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC))
	server := fakeaws.NewForTest(t, fakeaws.Options{Clock: clock, TaskStart: taskStart})
	cfg := server.Config()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	a := ecsAccount{t, server, clock, ecs.NewFromConfig(cfg)}
	makeService(t, cfg, edits...)
	a.wait(taskStart)
	return a
}

func (a ecsAccount) wait(d time.Duration) { a.clock.SetTime(a.clock.Now().Add(d)) }

// makeService makes a cluster, a task definition and a service.
func makeService(t *testing.T, cfg aws.Config, edits ...func(*ecs.CreateServiceInput)) {
	t.Helper()
	client := ecs.NewFromConfig(cfg)
	if _, err := client.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RegisterTaskDefinition(t.Context(), definitionInput("data")); err != nil {
		t.Fatal(err)
	}
	in := &ecs.CreateServiceInput{
		Cluster: aws.String("prod"), ServiceName: aws.String("web"), TaskDefinition: aws.String("web"), DesiredCount: aws.Int32(4),
		VolumeConfigurations: volumesFrom(""),
	}
	for _, edit := range edits {
		edit(in)
	}
	if _, err := client.CreateService(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func definitionInput(volumes ...string) *ecs.RegisterTaskDefinitionInput {
	container := types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("web:1"), Memory: aws.Int32(64)}
	in := &ecs.RegisterTaskDefinitionInput{Family: aws.String("web")}
	for _, volume := range volumes {
		in.Volumes = append(in.Volumes, types.Volume{Name: aws.String(volume), ConfiguredAtLaunch: aws.Bool(true)})
		container.MountPoints = append(container.MountPoints, types.MountPoint{SourceVolume: aws.String(volume), ContainerPath: aws.String("/" + volume)})
	}
	in.ContainerDefinitions = []types.ContainerDefinition{container}
	return in
}

func volumesFrom(snapshot string, edits ...func(*types.ServiceManagedEBSVolumeConfiguration)) []types.ServiceVolumeConfiguration {
	managed := &types.ServiceManagedEBSVolumeConfiguration{
		RoleArn: aws.String("arn:aws:iam::111122223333:role/ecs"), SizeInGiB: aws.Int32(10), FilesystemType: types.TaskFilesystemTypeExt4,
	}
	if snapshot != "" {
		managed.SnapshotId = &snapshot
	}
	for _, edit := range edits {
		edit(managed)
	}
	return []types.ServiceVolumeConfiguration{{Name: aws.String("data"), ManagedEBSVolume: managed}}
}

func withBreaker(rollback bool) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) {
		in.DeploymentConfiguration = &types.DeploymentConfiguration{
			DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: rollback},
		}
	}
}

func (a ecsAccount) update(edit func(*ecs.UpdateServiceInput)) error {
	in := &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web")}
	edit(in)
	_, err := a.ecs.UpdateService(a.Context(), in)
	return err
}

func (a ecsAccount) useSnapshot(id string) {
	a.Helper()
	if err := a.update(func(in *ecs.UpdateServiceInput) { in.VolumeConfigurations = volumesFrom(id) }); err != nil {
		a.Fatal(err)
	}
}

// state is what can be seen of the service: the status of its newest service deployment, and of each deployment the state, the
// snapshot, and how many tasks run and failed.
func (a ecsAccount) state() (types.ServiceDeploymentStatus, []deploymentSeen) {
	a.Helper()
	listed, err := a.ecs.ListServiceDeployments(a.Context(), &ecs.ListServiceDeploymentsInput{Cluster: aws.String("prod"), Service: aws.String("web")})
	if err != nil {
		a.Fatal(err)
	}
	described, err := a.ecs.DescribeServices(a.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("prod"), Services: []string{"web"}})
	if err != nil {
		a.Fatal(err)
	}
	var seen []deploymentSeen
	for _, one := range described.Services[0].Deployments {
		seen = append(seen, deploymentSeen{
			*one.Status, one.RolloutState, aws.ToString(one.VolumeConfigurations[0].ManagedEBSVolume.SnapshotId), one.RunningCount, one.FailedTasks,
		})
	}
	return listed.ServiceDeployments[0].Status, seen
}

type deploymentSeen struct {
	Status          string
	State           types.DeploymentRolloutState
	Snapshot        string
	Running, Failed int32
}

func (a ecsAccount) want(why string, status types.ServiceDeploymentStatus, deployments ...deploymentSeen) {
	a.Helper()
	got, seen := a.state()
	if diff := cmp.Diff(deployments, seen); diff != "" || got != status {
		a.Errorf("%s: %s, want %s; deployments (-want +got):\n%s", why, got, status, diff)
	}
}

func TestECSDeploysOverTime(t *testing.T) {
	a := newECSAccount(t)
	id := a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
	a.useSnapshot(id)
	a.want("the tasks start", types.ServiceDeploymentStatusInProgress,
		deploymentSeen{"PRIMARY", types.DeploymentRolloutStateInProgress, id, 0, 0}, deploymentSeen{"ACTIVE", types.DeploymentRolloutStateCompleted, "", 4, 0})
	a.wait(taskStart)
	a.want("they run", types.ServiceDeploymentStatusSuccessful, deploymentSeen{"PRIMARY", types.DeploymentRolloutStateCompleted, id, 4, 0})
}

func TestECSWithACircuitBreaker(t *testing.T) {
	for name, rollback := range map[string]bool{"that goes back": true, "that stops": false} {
		t.Run(name, func(t *testing.T) {
			a := newECSAccount(t, withBreaker(rollback))
			a.useSnapshot("snap-0123456789abcdef0")
			a.wait(2 * taskStart)
			a.want("two tasks failed", types.ServiceDeploymentStatusInProgress,
				deploymentSeen{"PRIMARY", types.DeploymentRolloutStateInProgress, "snap-0123456789abcdef0", 0, 2}, deploymentSeen{"ACTIVE", types.DeploymentRolloutStateCompleted, "", 4, 0})
			a.wait(taskStart)
			bad := deploymentSeen{"PRIMARY", types.DeploymentRolloutStateFailed, "snap-0123456789abcdef0", 0, 3}
			old := deploymentSeen{"ACTIVE", types.DeploymentRolloutStateCompleted, "", 4, 0}
			if !rollback {
				a.want("the third one opens it", types.ServiceDeploymentStatusStopped, bad, old)
				return
			}
			bad.Status = "ACTIVE"
			a.want("the third one opens it", types.ServiceDeploymentStatusRollbackInProgress,
				deploymentSeen{"PRIMARY", types.DeploymentRolloutStateInProgress, "", 0, 0}, bad, old)
			a.wait(taskStart)
			a.want("the tasks of before start", types.ServiceDeploymentStatusRollbackSuccessful, deploymentSeen{"PRIMARY", types.DeploymentRolloutStateCompleted, "", 4, 0})
		})
	}
}

func TestECSWithoutACircuitBreakerTriesForEver(t *testing.T) {
	a := newECSAccount(t)
	id := a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
	a.SetFilesystem(id, "xfs")
	a.useSnapshot(id)
	a.wait(100 * taskStart)
	a.want("the filesystem is another", types.ServiceDeploymentStatusInProgress,
		deploymentSeen{"PRIMARY", types.DeploymentRolloutStateInProgress, id, 0, 100}, deploymentSeen{"ACTIVE", types.DeploymentRolloutStateCompleted, "", 4, 0})
	a.useSnapshot("")
	a.wait(taskStart)
	a.want("another update takes its place", types.ServiceDeploymentStatusSuccessful, deploymentSeen{"PRIMARY", types.DeploymentRolloutStateCompleted, "", 4, 0})
}

func TestECSStartsADeploymentWhenSomethingChanges(t *testing.T) {
	a := newECSAccount(t)
	for name, c := range map[string]struct {
		edit func(*ecs.UpdateServiceInput)
		want int
	}{
		"the same volumes": {func(in *ecs.UpdateServiceInput) { in.VolumeConfigurations = volumesFrom("") }, 0},
		"no word of them":  {func(in *ecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(5) }, 0},
		"by force":         {func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true }, 1},
	} {
		before := a.countRollouts()
		if err := a.update(c.edit); err != nil {
			t.Fatal(err)
		}
		if got := a.countRollouts() - before; got != c.want {
			t.Errorf("%s: %d deployments, want %d", name, got, c.want)
		}
	}
}

func (a ecsAccount) countRollouts() (count int) {
	a.Helper()
	in := &ecs.ListServiceDeploymentsInput{Cluster: aws.String("prod"), Service: aws.String("web"), MaxResults: aws.Int32(1)}
	for {
		page, err := a.ecs.ListServiceDeployments(a.Context(), in)
		if err != nil {
			a.Fatal(err)
		}
		count += len(page.ServiceDeployments)
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return count
		}
	}
}

func TestECSRefusesVolumes(t *testing.T) {
	cases := map[string][]types.ServiceVolumeConfiguration{
		"another name":     {{Name: aws.String("other"), ManagedEBSVolume: volumesFrom("")[0].ManagedEBSVolume}},
		"two":              append(volumesFrom(""), volumesFrom("")...),
		"nothing said":     {{Name: aws.String("data")}},
		"no role":          volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.RoleArn = aws.String("") }),
		"no size":          volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.SizeInGiB = nil }),
		"a large one":      volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.SizeInGiB = aws.Int32(16385) }),
		"no such type":     volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.VolumeType = aws.String("gp9") }),
		"io2 without IOPS": volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.VolumeType = aws.String("io2") }),
		"gp2 with throughput": volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) {
			v.VolumeType, v.Throughput = aws.String("gp2"), aws.Int32(125)
		}),
		"a rate without a snapshot": volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.VolumeInitializationRate = aws.Int32(100) }),
		"no snapshot id":            volumesFrom("latest"),
		"no filesystem":             volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.FilesystemType = "zfs" }),
	}
	a := newECSAccount(t)
	for name, volumes := range cases {
		t.Run(name, func(t *testing.T) {
			err := a.update(func(in *ecs.UpdateServiceInput) { in.VolumeConfigurations = volumes })
			wantError(t, err, "InvalidParameterException", "")
		})
	}
	if got := a.countRollouts(); got != 1 {
		t.Errorf("%d deployments, want none but the first", got)
	}
}

func TestECSServiceTags(t *testing.T) {
	a := newECSAccount(t)
	arn := aws.String("arn:aws:ecs:us-west-2:111122223333:service/prod/web")
	tag := func(key, value string) error {
		_, err := a.ecs.TagResource(t.Context(), &ecs.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: &key, Value: &value}}})
		return err
	}
	for key, value := range map[string]string{"larder.dev/a": "size=10 type=gp3", "team": "ml"} {
		if err := tag(key, value); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, tag("aws:x", ""), "InvalidParameterException", "")
	wantError(t, tag("comma", "a,b"), "InvalidParameterException", "")
	if _, err := a.ecs.UntagResource(t.Context(), &ecs.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team", "none"}}); err != nil {
		t.Fatal(err)
	}
	for include, want := range map[types.ServiceField]int{types.ServiceFieldTags: 1, "": 0} {
		in := &ecs.DescribeServicesInput{Cluster: aws.String("prod"), Services: []string{"web"}}
		if include != "" {
			in.Include = []types.ServiceField{include}
		}
		out, err := a.ecs.DescribeServices(t.Context(), in)
		if err != nil || len(out.Services[0].Tags) != want {
			t.Errorf("tags %v, %v, want %d", out.Services[0].Tags, err, want)
		}
	}
}

func TestECSServiceThatIsDeleted(t *testing.T) {
	a := newECSAccount(t)
	deletion := &ecs.DeleteServiceInput{Cluster: aws.String("prod"), Service: aws.String("web")}
	_, err := a.ecs.DeleteService(t.Context(), deletion)
	wantError(t, err, "InvalidParameterException", "")
	deletion.Force = aws.Bool(true)
	if _, err := a.ecs.DeleteService(t.Context(), deletion); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"DRAINING", "INACTIVE"} {
		out, err := a.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("prod"), Services: []string{"web"}})
		if err != nil || aws.ToString(out.Services[0].Status) != want {
			t.Errorf("status %s, %v, want %s", aws.ToString(out.Services[0].Status), err, want)
		}
		wantError(t, a.update(func(*ecs.UpdateServiceInput) {}), "ServiceNotActiveException", "")
		a.wait(taskStart)
	}
}
