package batch_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// account is what a person does in an AWS account besides Larder.
type account struct {
	*testing.T
	*fakeaws.Server
	clock *clocktesting.FakePassiveClock
	cfg   aws.Config
}

func newAccount(t *testing.T) *account {
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	server := fakeaws.NewForTest(t, fakeaws.Options{Clock: clock, ComputeEnvironmentFor: time.Minute})
	cfg := server.Config()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return &account{t, server, clock, cfg}
}

func (a *account) pass(d time.Duration) { a.clock.SetTime(a.clock.Now().Add(d)) }

// template makes a launch template of two versions.
func (a *account) template(name string) (id string) {
	a.Helper()
	data := &ec2types.RequestLaunchTemplateData{InstanceType: ec2types.InstanceTypeM5Large}
	made, err := ec2.NewFromConfig(a.cfg).CreateLaunchTemplate(a.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: data})
	if err != nil {
		a.Fatal(err)
	}
	if _, err := ec2.NewFromConfig(a.cfg).CreateLaunchTemplateVersion(a.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: &name, LaunchTemplateData: data}); err != nil {
		a.Fatal(err)
	}
	return *made.LaunchTemplate.LaunchTemplateId
}

func (a *account) create(edit func(*sdk.CreateComputeEnvironmentInput)) {
	a.Helper()
	in := &sdk.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: aws.String("gpu"), Type: types.CETypeManaged,
		ComputeResources: &types.ComputeResource{
			Type: types.CRTypeSpot, AllocationStrategy: types.CRAllocationStrategySpotCapacityOptimized,
			MinvCpus: aws.Int32(8), MaxvCpus: aws.Int32(64), InstanceTypes: []string{"g5", "m5"}, Subnets: []string{"subnet-1"},
		},
	}
	edit(in)
	if _, err := sdk.NewFromConfig(a.cfg).CreateComputeEnvironment(a.Context(), in); err != nil {
		a.Fatal(err)
	}
}

func (a *account) describe() *batch.ComputeEnvironment {
	a.Helper()
	found, err := batch.New(a.cfg).Describe(a.Context(), "gpu")
	if err != nil {
		a.Fatal(err)
	}
	return found
}

const serviceLinkedRole = "arn:aws:iam::111122223333:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"

func TestWhatAnEnvironmentIs(t *testing.T) {
	spot := func(edit func(*batch.ComputeEnvironment)) *batch.ComputeEnvironment {
		is := &batch.ComputeEnvironment{
			Name: "gpu", ID: "00000000-0000-4000-8000-000000000001", Status: batch.Valid, StatusReason: "ComputeEnvironment Healthy",
			Managed: true, Spot: true, ServiceRole: serviceLinkedRole, AllocationStrategy: "SPOT_CAPACITY_OPTIMIZED", DesiredVCPUs: 8, InstanceTypes: []string{"g5", "m5"},
		}
		edit(is)
		return is
	}
	cases := map[string]struct {
		create func(*sdk.CreateComputeEnvironmentInput)
		want   *batch.ComputeEnvironment
	}{
		"on ECS": {func(*sdk.CreateComputeEnvironmentInput) {}, spot(func(*batch.ComputeEnvironment) {})},
		"on EKS, with an AMI of its own": {func(in *sdk.CreateComputeEnvironmentInput) {
			in.EksConfiguration = &types.EksConfiguration{EksClusterArn: aws.String("arn:aws:eks:us-west-2:111122223333:cluster/c"), KubernetesNamespace: aws.String("jobs")}
			in.ComputeResources.Ec2Configuration = []types.Ec2Configuration{{ImageType: aws.String("EKS_AL2023"), ImageIdOverride: aws.String("ami-1")}}
		}, spot(func(is *batch.ComputeEnvironment) {
			is.EKS, is.Images = true, []batch.Image{{Type: "EKS_AL2023", ID: "ami-1"}}
		})},
		"on Fargate": {func(in *sdk.CreateComputeEnvironmentInput) {
			in.ComputeResources = &types.ComputeResource{Type: types.CRTypeFargateSpot, MaxvCpus: aws.Int32(4), Subnets: []string{"subnet-1"}}
		}, spot(func(is *batch.ComputeEnvironment) {
			is.Fargate, is.Spot, is.AllocationStrategy, is.DesiredVCPUs, is.InstanceTypes = true, false, "", 0, nil
		})},
		"unmanaged, with a role": {func(in *sdk.CreateComputeEnvironmentInput) {
			in.Type, in.ComputeResources, in.ServiceRole = types.CETypeUnmanaged, nil, aws.String("arn:aws:iam::111122223333:role/batch")
		}, spot(func(is *batch.ComputeEnvironment) {
			*is = batch.ComputeEnvironment{Name: is.Name, ID: is.ID, Status: is.Status, StatusReason: is.StatusReason, ServiceRole: "arn:aws:iam::111122223333:role/batch"}
		})},
		"with overrides": {func(in *sdk.CreateComputeEnvironmentInput) {
			in.ComputeResources.LaunchTemplate = &types.LaunchTemplateSpecification{
				LaunchTemplateName: aws.String("workers"), Version: aws.String("$Latest"),
				Overrides: []types.LaunchTemplateSpecificationOverride{{LaunchTemplateName: aws.String("gpus"), TargetInstanceTypes: []string{"g5"}, UserdataType: types.UserdataTypeEksNodeadm}},
			}
		}, spot(func(is *batch.ComputeEnvironment) {
			is.Templates = []batch.Template{{Name: "workers", Version: "$Latest"}, {Name: "gpus", InstanceTypes: []string{"g5"}, UserdataType: "EKS_NODEADM"}}
		})},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			if a.describe() != nil {
				t.Error("there is one that nobody made")
			}
			a.template("workers")
			a.template("gpus")
			a.create(tc.create)
			if got := a.describe(); got.Status != batch.Creating {
				t.Errorf("at first it is %s", got.Status)
			}
			a.pass(time.Minute)
			if diff := cmp.Diff(tc.want, a.describe()); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

// An update says everything of each template, since Batch forgets what it is not told.
func TestAnUpdateKeepsEveryTemplate(t *testing.T) {
	a := newAccount(t)
	id := a.template("workers")
	a.template("gpus")
	a.create(func(in *sdk.CreateComputeEnvironmentInput) {
		in.ComputeResources.LaunchTemplate = &types.LaunchTemplateSpecification{
			LaunchTemplateId: &id, Version: aws.String("1"), UserdataType: types.UserdataTypeEksNodeadm,
			Overrides: []types.LaunchTemplateSpecificationOverride{
				{LaunchTemplateName: aws.String("gpus"), Version: aws.String("1"), TargetInstanceTypes: []string{"g5"}, UserdataType: types.UserdataTypeEksNodeadm},
				{LaunchTemplateId: &id, TargetInstanceTypes: []string{"m5.large", "m5.xlarge"}},
			},
		}
	})
	a.pass(time.Minute)
	before := a.describe()
	want := before.Templates
	want[0].Version, want[1].Version = "2", "2"
	if err := batch.New(a.cfg).Update(t.Context(), "gpu", want); err != nil {
		t.Fatal(err)
	}
	if got := a.describe(); got.Status != batch.Updating {
		t.Errorf("it is %s", got.Status)
	}
	err := batch.New(a.cfg).Update(t.Context(), "gpu", before.Templates[:1])
	if !batch.IsRefused(err) {
		t.Errorf("an update while one runs: %v", err)
	}
	a.pass(time.Minute)
	after := a.describe()
	if diff := cmp.Diff(want, after.Templates); diff != "" || after.Status != batch.Valid || a.ComputeEnvironments()[0].Updates != 1 {
		t.Errorf("it is %s, and its templates (-want +got):\n%s", after.Status, diff)
	}
	after.Templates, before.Templates = nil, nil
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the update changed more than templates (-before +after):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	cases := map[string]struct {
		fault           fakeaws.Fault
		denied, refused bool
	}{
		"denied":      {fakeaws.Fault{Kind: fakeaws.Denied}, true, false},
		"refused":     {fakeaws.Fault{Kind: fakeaws.Error, Status: http.StatusBadRequest, Code: "ClientException", Message: "no"}, false, true},
		"its own 500": {fakeaws.Fault{Kind: fakeaws.ServerError}, false, false},
		"throttled":   {fakeaws.Fault{Kind: fakeaws.Throttle}, false, false},
	}
	for name, tc := range cases {
		for _, action := range []string{"DescribeComputeEnvironments", "UpdateComputeEnvironment"} {
			t.Run(fmt.Sprint(action, " ", name), func(t *testing.T) {
				a := newAccount(t)
				tc.fault.Action = action
				a.Inject(tc.fault)
				client := batch.New(a.cfg)
				_, err := client.Describe(t.Context(), "gpu")
				if action == "UpdateComputeEnvironment" {
					err = client.Update(t.Context(), "gpu", []batch.Template{{ID: "lt-1"}})
				}
				if err == nil || larderaws.IsAccessDenied(err) != tc.denied || batch.IsRefused(err) != tc.refused || larderaws.Action(err) != "batch:"+action {
					t.Errorf("%v: denied %t, refused %t, action %s", err, larderaws.IsAccessDenied(err), batch.IsRefused(err), larderaws.Action(err))
				}
			})
		}
	}
}
