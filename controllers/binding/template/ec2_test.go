package template_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// ec2Template is a launch template in EC2, and what a pass does with it.
type ec2Template struct {
	*testing.T
	*fakeaws.Server
	client *launch.Client
	id     string
}

// newEC2Template has a volume of a snapshot of its owner's. EC2 warns of snapshots that do not exist.
func newEC2Template(t *testing.T) *ec2Template {
	t.Helper()
	server := fakeaws.NewForTest(t, fakeaws.Options{WarnOfSnapshots: true})
	made, err := ec2.NewFromConfig(server.Config()).CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("workers"), LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: aws.String("ami-1"), UserData: aws.String("eA=="),
			BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{
				{DeviceName: aws.String("/dev/xvda"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(8), Encrypted: aws.Bool(true)}},
				{DeviceName: aws.String("/dev/xvdc"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{
					SnapshotId: aws.String(server.AddSnapshot(fakeaws.Snapshot{})), EbsCardIndex: aws.Int32(0),
				}},
				{DeviceName: aws.String("/dev/xvdd"), VirtualName: aws.String("ephemeral0")},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &ec2Template{t, server, launch.New(server.Config()), *made.LaunchTemplate.LaunchTemplateId}
}

func (e *ec2Template) read() template.History {
	e.Helper()
	history, problem, err := template.Read(e.Context(), e.client, template.Nobody{}, launch.Reference{ID: e.id})
	if problem != nil || err != nil {
		e.Fatal(problem, err)
	}
	return history
}

func (e *ec2Template) want() template.Want {
	from, _ := e.read().Resolve(template.Latest)
	return template.Want{Binding: "0b5a9b0e-7f3c-4f1e-9d8a-1c2d3e4f5a6b", From: from, Device: v1alpha1.Device{Name: "/dev/xvdb"}, Was: template.Latest}
}

func (e *ec2Template) with(snapshot string) (int64, error) {
	e.Helper()
	step, problem := e.read().With(e.want(), binding.Snapshot{ID: snapshot, SizeGiB: 8})
	if problem != nil {
		e.Fatal(problem)
	}
	return template.Publish(e.Context(), e.client, step)
}

func (e *ec2Template) numbers() []int64 {
	e.Helper()
	var numbers []int64
	for _, version := range e.read().Versions {
		numbers = append(numbers, version.Number)
	}
	return numbers
}

func TestALifeInEC2(t *testing.T) {
	e := newEC2Template(t)
	for want := int64(2); want <= 3; want++ {
		snapshot := e.AddSnapshot(fakeaws.Snapshot{})
		number, err := e.with(snapshot)
		if err != nil || number != want || e.read().SnapshotOf(number, "/dev/xvdb") != snapshot {
			t.Fatalf("version %d, %v", number, err)
		}
	}
	if err := e.client.DeleteVersions(t.Context(), e.id, e.read().Prunable(e.want().Binding)); err != nil {
		t.Fatal(err)
	}
	step, problem := e.read().Without(e.want())
	if problem != nil {
		t.Fatal(problem)
	}
	if _, err := template.Publish(t.Context(), e.client, step); err != nil {
		t.Fatal(err)
	}
	before, _ := e.read().Resolve("1")
	after, _ := e.read().Resolve(template.Latest)
	if diff := cmp.Diff(before.Devices, after.Devices); diff != "" || after.ImageID != "ami-1" || after.UserData != "eA==" {
		t.Errorf("what is given back (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{1, 3, 4}, e.numbers()); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// Whenever a call fails, the next pass, which remembers nothing, makes one version.
func TestACallThatFailsMakesOneVersion(t *testing.T) {
	for _, kind := range []fakeaws.Kind{fakeaws.ServerError, fakeaws.Throttle, fakeaws.LostResponse, fakeaws.Corrupt} {
		t.Run(string(kind), func(t *testing.T) {
			e := newEC2Template(t)
			snapshot := e.AddSnapshot(fakeaws.Snapshot{})
			cfg := e.Config()
			cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
			e.client = launch.New(cfg)
			e.Inject(fakeaws.Fault{Action: "CreateLaunchTemplateVersion", Kind: kind})
			if _, err := e.with(snapshot); err == nil {
				t.Fatal("it does not fail")
			}
			e.Heal()
			number, err := e.with(snapshot)
			if err != nil || number != 2 {
				t.Errorf("version %d, %v", number, err)
			}
			if diff := cmp.Diff([]int64{1, 2}, e.numbers()); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARefusedVersionIsNotLeftBehind(t *testing.T) {
	e := newEC2Template(t)
	_, err := e.with("snap-0123456789abcdef0")
	var problem *binding.Problem
	if !errors.As(err, &problem) || problem.Reason != v1alpha1.ReasonVersionRefused || len(e.numbers()) != 1 {
		t.Errorf("%v with versions %v", err, e.numbers())
	}
	if number, err := e.with(e.AddSnapshot(fakeaws.Snapshot{})); err != nil || e.read().SnapshotOf(number, "/dev/xvdb") == "" {
		t.Errorf("the next snapshot: version %d, %v", number, err)
	}
}
