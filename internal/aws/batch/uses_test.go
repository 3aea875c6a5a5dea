package batch_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// madeOf adds versions to a template, one for each snapshot.
func (a *account) madeOf(template string, snapshots ...string) {
	a.Helper()
	for _, id := range snapshots {
		_, err := ec2.NewFromConfig(a.cfg).CreateLaunchTemplateVersion(a.Context(), &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: &template,
			LaunchTemplateData: &ec2types.RequestLaunchTemplateData{BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{
				{DeviceName: aws.String("/dev/xvdb"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{SnapshotId: &id}},
			}},
		})
		if err != nil {
			a.Fatal(err)
		}
	}
}

func usesOf(cfg aws.Config) batch.Uses {
	return batch.Uses{Environments: batch.New(cfg), Templates: launch.New(cfg)}
}

func TestWhichSnapshotsEnvironmentsUse(t *testing.T) {
	cases := map[string]struct {
		reason string
		names  func(id string) *types.LaunchTemplateSpecification
		want   map[string]string
	}{
		"none": {
			"AWS's own AMI is no snapshot of ours",
			func(string) *types.LaunchTemplateSpecification { return nil }, nil,
		},
		"its own, by id": {
			"instances boot with it",
			func(id string) *types.LaunchTemplateSpecification {
				return &types.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: aws.String("3")}
			},
			map[string]string{"3": "snap-3"},
		},
		"its own, by name": {
			"Batch takes either",
			func(string) *types.LaunchTemplateSpecification {
				return &types.LaunchTemplateSpecification{LaunchTemplateName: aws.String("gpus"), Version: aws.String("3")}
			},
			map[string]string{"3": "snap-3"},
		},
		"an override's": {
			"instances of its types boot with it",
			func(id string) *types.LaunchTemplateSpecification {
				return &types.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: aws.String("3"), Overrides: []types.LaunchTemplateSpecificationOverride{
					{LaunchTemplateName: aws.String("gpus"), Version: aws.String("4"), TargetInstanceTypes: []string{"g5"}},
				}}
			},
			map[string]string{"3": "snap-3", "4": "snap-4"},
		},
		"an override's alone": {
			"the environment itself needs no template then",
			func(id string) *types.LaunchTemplateSpecification {
				return &types.LaunchTemplateSpecification{Overrides: []types.LaunchTemplateSpecificationOverride{
					{LaunchTemplateId: &id, Version: aws.String("4"), TargetInstanceTypes: []string{"g5"}},
				}}
			},
			map[string]string{"4": "snap-4"},
		},
		"the latest and the default": {
			"they are read for every template anyway",
			func(id string) *types.LaunchTemplateSpecification {
				return &types.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: aws.String("$Latest"), Overrides: []types.LaunchTemplateSpecificationOverride{
					{LaunchTemplateId: &id, Version: aws.String("$Default"), TargetInstanceTypes: []string{"g5"}},
				}}
			}, nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			id := a.template("gpus")
			a.madeOf(id, "snap-3", "snap-4", "snap-5")
			a.create(func(in *sdk.CreateComputeEnvironmentInput) { in.ComputeResources.LaunchTemplate = c.names(id) })
			uses, err := usesOf(a.cfg).SnapshotUses(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var want []launch.Use
			for _, version := range []string{"3", "4"} {
				if snapshot := c.want[version]; snapshot != "" {
					want = append(want, launch.Use{
						Name: "launch template " + id + " (gpus) version " + version + ", named by Batch compute environment gpu", SnapshotIDs: []string{snapshot},
					})
				}
			}
			if diff := cmp.Diff(want, uses); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestEveryEnvironmentIsRead(t *testing.T) {
	a := newAccount(t)
	id := a.template("gpus")
	a.madeOf(id, "snap-3", "snap-4")
	for i := range 101 {
		a.create(func(in *sdk.CreateComputeEnvironmentInput) {
			in.ComputeEnvironmentName = aws.String(fmt.Sprintf("gpu-%d", i))
			in.ComputeResources.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: aws.String("3")}
		})
	}
	uses, err := usesOf(a.cfg).SnapshotUses(t.Context())
	if err != nil || len(uses) != 1 || strings.Count(uses[0].Name, "named by Batch compute environment") != 101 {
		t.Errorf("%v, %v, want one version that 101 environments name", uses, err)
	}
	if calls := a.Calls("DescribeComputeEnvironments"); calls != 2 {
		t.Errorf("%d calls, want one for each page", calls)
	}
}

func TestWithoutAnAnswerNoEnvironmentIsUnused(t *testing.T) {
	for action, permission := range map[string]string{
		"DescribeComputeEnvironments": "batch:DescribeComputeEnvironments", "DescribeLaunchTemplateVersions": "ec2:DescribeLaunchTemplateVersions",
	} {
		a := newAccount(t)
		id := a.template("gpus")
		a.create(func(in *sdk.CreateComputeEnvironmentInput) {
			in.ComputeResources.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateId: &id, Version: aws.String("1")}
		})
		a.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Denied})
		uses, err := usesOf(a.cfg).SnapshotUses(t.Context())
		if !larderaws.IsAccessDenied(err) || uses != nil || larderaws.Action(err) != permission {
			t.Errorf("%v, %v, want no answer and a refusal of %s", uses, err, permission)
		}
	}
}

// resolver is a network that has no name for anything: there is none, or it cannot be found out.
type resolver struct{ knows bool }

func (r resolver) Do(request *http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: request.URL.Hostname(), IsNotFound: r.knows, IsTemporary: !r.knows}}
}

func TestARegionWithoutBatch(t *testing.T) {
	for _, knows := range []bool{true, false} {
		uses, err := usesOf(aws.Config{
			Region: "mx-central-1", HTTPClient: resolver{knows}, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
			Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		}).SnapshotUses(t.Context())
		if uses != nil || (err == nil) != knows {
			t.Errorf("%v, %v: that there is no endpoint is known: %t", uses, err, knows)
		}
	}
}
