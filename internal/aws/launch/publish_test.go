package launch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// everyDevice says all that a mapping can.
func everyDevice(snapshot string) []launch.Device {
	return []launch.Device{
		{Name: "/dev/xvda", EBS: &launch.Volume{Type: "gp3", SizeGiB: 4}},
		{Name: "/dev/xvdb", EBS: &launch.Volume{
			SnapshotID: snapshot, SizeGiB: 40, Type: "gp3", IOPS: 4000, Throughput: 500, InitializationRate: 200,
			Encrypted: aws.Bool(true), DeleteOnTermination: aws.Bool(false), KMSKeyID: "alias/larder", CardIndex: aws.Int32(1),
		}},
		{Name: "/dev/xvdc", VirtualName: "ephemeral0"},
		{Name: "/dev/xvdd", NoDevice: true},
	}
}

func newVersion(template string, devices []launch.Device) launch.NewVersion {
	return launch.NewVersion{TemplateID: template, Source: 1, Devices: devices, Description: "made by a test", Token: "t"}
}

func (a *account) versions(id string) []launch.Version {
	a.Helper()
	versions, err := launch.New(a.Config()).Versions(a.Context(), id)
	if err != nil {
		a.Fatal(err)
	}
	return versions
}

func TestTemplateIsFoundByIDAndName(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.template("workers", "snap-1", "snap-2")
	want := launch.Template{ID: id, Name: "workers", DefaultVersion: 1, LatestVersion: 2}
	client := launch.New(a.Config())
	for _, of := range []launch.Reference{{ID: id}, {Name: "workers"}} {
		got, err := client.Template(t.Context(), of)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", of, got, err)
		}
	}
	for _, of := range []launch.Reference{{ID: "lt-0123456789abcdef0"}, {Name: "another's"}, {Name: "none"}} {
		if _, err := client.Template(t.Context(), of); !larderaws.IsNotFound(err) || !strings.Contains(err.Error(), of.String()) {
			t.Errorf("%s: %v, want that it is not found", of, err)
		}
	}
}

func TestVersionsAreReadWholeAndInOrder(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.template("workers", make([]string, 230)...)
	versions := a.versions(id)
	if len(versions) != 230 || !versions[0].Default || versions[1].Default {
		t.Errorf("%d versions", len(versions))
	}
	for i, version := range versions {
		if version.Number != int64(i+1) || version.TemplateID != id || version.CreatedBy == "" || version.CreateTime.IsZero() {
			t.Fatalf("version %d: %+v", i+1, version)
		}
	}
}

func TestVersionSaysWhatItLaunches(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	made, err := a.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("workers"), VersionDescription: aws.String("spot"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{
			ImageId: aws.String("resolve:ssm:/ami"), InstanceType: types.InstanceTypeG5Xlarge, UserData: aws.String("eA=="),
			InstanceMarketOptions: &types.LaunchTemplateInstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := launch.Version{
		TemplateID: *made.LaunchTemplate.LaunchTemplateId, Number: 1, Description: "spot", Default: true, Spot: true,
		ImageID: "resolve:ssm:/ami", InstanceType: "g5.xlarge", UserData: "eA==",
	}
	got := a.versions(want.TemplateID)[0]
	got.CreateTime, got.CreatedBy = time.Time{}, ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("version (-want +got):\n%s", diff)
	}
}

func TestCreateVersionKeepsAllThatItIsGiven(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.template("workers", "snap-1")
	client := launch.New(a.Config())
	for range 2 { // the token makes one version
		made, err := client.CreateVersion(t.Context(), newVersion(id, everyDevice("snap-2")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(everyDevice("snap-2"), made.Devices); diff != "" || made.Number != 2 {
			t.Errorf("version %d (-want +got):\n%s", made.Number, diff)
		}
	}
	versions := a.versions(id)
	if diff := cmp.Diff(everyDevice("snap-2"), versions[1].Devices); diff != "" || len(versions) != 2 || versions[1].Description != "made by a test" {
		t.Errorf("%d versions, the last with devices (-want +got):\n%s", len(versions), diff)
	}
}

// A source without devices gives a version without, for which something has to be said all the same.
func TestCreateVersionWithoutDevices(t *testing.T) {
	for _, userData := range []string{"", "eA=="} {
		a := newAccount(t, fakeaws.Options{})
		made, err := a.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
			LaunchTemplateName: aws.String("bare"), LaunchTemplateData: &types.RequestLaunchTemplateData{UserData: aws.String(userData), ImageId: aws.String("ami-1")},
		})
		if err != nil {
			t.Fatal(err)
		}
		version := newVersion(*made.LaunchTemplate.LaunchTemplateId, nil)
		version.UserData = userData
		got, err := launch.New(a.Config()).CreateVersion(t.Context(), version)
		if err != nil || len(got.Devices) != 0 || got.UserData != userData || got.ImageID != "ami-1" {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestAWarningDeletesTheVersion(t *testing.T) {
	a := newAccount(t, fakeaws.Options{WarnOfSnapshots: true})
	id := a.template("workers", "snap-1")
	for range 2 { // the second time the token gives the answer of the first
		_, err := launch.New(a.Config()).CreateVersion(t.Context(), newVersion(id, everyDevice("snap-none")))
		var refused *launch.RefusedError
		if !errors.As(err, &refused) {
			t.Fatalf("%v, want a refusal", err)
		}
		want := &launch.RefusedError{Number: 2, Codes: []string{"InvalidSnapshot.NotFound"}, Messages: []string{"The snapshot 'snap-none' does not exist."}}
		if diff := cmp.Diff(want, refused); diff != "" {
			t.Errorf("refusal (-want +got):\n%s", diff)
		}
		if got := refused.Error(); got != "InvalidSnapshot.NotFound: The snapshot 'snap-none' does not exist." {
			t.Errorf("it says %q", got)
		}
		if versions := a.versions(id); len(versions) != 1 {
			t.Errorf("%d versions, the refused one was not deleted", len(versions))
		}
	}
}

func TestADeletionThatFailsIsToldWithTheRefusal(t *testing.T) {
	a := newAccount(t, fakeaws.Options{WarnOfSnapshots: true, Denied: []string{"DeleteLaunchTemplateVersions"}})
	id := a.template("workers", "snap-1")
	_, err := launch.New(a.Config()).CreateVersion(t.Context(), newVersion(id, everyDevice("snap-none")))
	var refused *launch.RefusedError
	if !errors.As(err, &refused) || refused.Number != 2 || !larderaws.IsAccessDenied(refused.NotDeleted) {
		t.Errorf("%v, want the refusal and the version that stays", err)
	}
}

// dropSnapshots is an EC2 that ignores snapshots.
func dropSnapshots(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("dropSnapshots", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		if input, isCreation := in.Parameters.(*ec2.CreateLaunchTemplateVersionInput); isCreation {
			for _, device := range input.LaunchTemplateData.BlockDeviceMappings {
				if device.Ebs != nil {
					device.Ebs.SnapshotId = nil
				}
			}
		}
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

func TestOtherDevicesThanSentAreRefused(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.template("workers", "snap-1")
	cfg := a.Config()
	cfg.APIOptions = append(cfg.APIOptions, dropSnapshots)
	_, err := launch.New(cfg).CreateVersion(t.Context(), newVersion(id, everyDevice("snap-2")))
	var refused *launch.RefusedError
	if !errors.As(err, &refused) || refused.Codes[0] != "DevicesDiffer" || len(a.versions(id)) != 1 {
		t.Errorf("%v with %d versions, want a refusal and one version", err, len(a.versions(id)))
	}
}

// A token gives a version for as long as EC2 remembers it, whether or not somebody deleted the version.
func TestATokenOfADeletedVersionIsPassedOver(t *testing.T) {
	longAgo := clocktesting.NewFakePassiveClock(time.Now().Add(-time.Hour))
	a := newAccount(t, fakeaws.Options{Clock: longAgo})
	id := a.template("workers", "snap-1")
	client := launch.New(a.Config())
	for _, want := range []int64{2, 3, 4} {
		made, err := client.CreateVersion(t.Context(), newVersion(id, everyDevice("snap-2")))
		if err != nil || made.Number != want {
			t.Fatalf("version %d, %v, want %d", made.Number, err, want)
		}
		if err := client.DeleteVersions(t.Context(), id, []int64{want}); err != nil {
			t.Fatal(err)
		}
	}
}

// EC2 takes a while to find what it has just made: that is not made again.
func TestANewVersionMayNotBeFoundYet(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.template("workers", "snap-1")
	a.Inject(fakeaws.Fault{
		Action: "DescribeLaunchTemplateVersions", Kind: fakeaws.Error, Status: 400, Code: "InvalidLaunchTemplateId.VersionNotFound", Message: "not yet", Times: 1,
	})
	made, err := launch.New(a.Config()).CreateVersion(t.Context(), newVersion(id, everyDevice("snap-2")))
	if err != nil || made.Number != 2 || a.Calls("CreateLaunchTemplateVersion") != 1 {
		t.Errorf("version %d, %v, in %d calls", made.Number, err, a.Calls("CreateLaunchTemplateVersion"))
	}
}

func TestCreateVersionRefusals(t *testing.T) {
	cases := map[string]struct {
		options fakeaws.Options
		version func(id string) launch.NewVersion
		is      func(error) bool
	}{
		"denied": {fakeaws.Options{Denied: []string{"CreateLaunchTemplateVersion"}}, func(id string) launch.NewVersion { return newVersion(id, everyDevice("snap-2")) }, larderaws.IsAccessDenied},
		"limit":  {fakeaws.Options{TemplateVersions: 1}, func(id string) launch.NewVersion { return newVersion(id, everyDevice("snap-2")) }, larderaws.IsVersionLimit},
		"source": {fakeaws.Options{}, func(id string) launch.NewVersion {
			version := newVersion(id, everyDevice("snap-2"))
			version.Source = 7
			return version
		}, larderaws.IsNotFound},
		"template": {fakeaws.Options{}, func(string) launch.NewVersion { return newVersion("lt-0123456789abcdef0", everyDevice("snap-2")) }, larderaws.IsNotFound},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, tc.options)
			id := a.template("workers", "snap-1")
			_, err := launch.New(a.Config()).CreateVersion(t.Context(), tc.version(id))
			if !tc.is(err) || !strings.Contains(err.Error(), "creating a version of launch template") || len(a.versions(id)) != 1 {
				t.Errorf("%v", err)
			}
			if got := larderaws.Action(err); got != "ec2:CreateLaunchTemplateVersion" {
				t.Errorf("the permission is %q", got)
			}
		})
	}
}

func TestSetDefault(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.template("workers", "snap-1", "snap-2")
	client := launch.New(a.Config())
	if err := client.SetDefault(t.Context(), id, 2); err != nil {
		t.Fatal(err)
	}
	if versions := a.versions(id); versions[0].Default || !versions[1].Default {
		t.Errorf("versions %+v", versions)
	}
	if err := client.SetDefault(t.Context(), id, 3); !larderaws.IsNotFound(err) {
		t.Errorf("%v, want that it is not found", err)
	}
}

func TestDeleteVersions(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.template("workers", make([]string, 450)...)
	var numbers []int64
	for number := int64(1); number <= 449; number++ {
		numbers = append(numbers, number)
	}
	err := launch.New(a.Config()).DeleteVersions(t.Context(), id, append(numbers, 999))
	if err == nil || !strings.Contains(err.Error(), "deleting version 1 of launch template "+id+": unexpectedError") {
		t.Errorf("%v, want that the default version stays", err)
	}
	var left []int64
	for _, version := range a.versions(id) {
		left = append(left, version.Number)
	}
	if diff := cmp.Diff([]int64{1, 450}, left); diff != "" || a.Calls("DeleteLaunchTemplateVersions") != 3 {
		t.Errorf("%d calls, versions left (-want +got):\n%s", a.Calls("DeleteLaunchTemplateVersions"), diff)
	}
	if err := launch.New(a.Config()).DeleteVersions(t.Context(), id, nil); err != nil {
		t.Errorf("deleting none: %v", err)
	}
}
