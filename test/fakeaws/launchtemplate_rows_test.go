package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
)

// versionOfSource makes a version of the first one and returns its data.
func versionOfSource(t *testing.T, cfg aws.Config, id string, data *types.RequestLaunchTemplateData) *types.ResponseLaunchTemplateData {
	t.Helper()
	out, err := ec2.NewFromConfig(cfg).CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &id, SourceVersion: aws.String("1"), LaunchTemplateData: data,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.LaunchTemplateVersion.LaunchTemplateData
}

var sourceRows = []row{
	{
		name:        "a version of a source has its data, but none of its snapshots",
		motoDiffers: "it does not read the source",
		check: func(t *testing.T, cfg aws.Config) {
			id := makeTemplate(t, cfg, "workers", "snap-1")
			got := versionOfSource(t, cfg, id, &types.RequestLaunchTemplateData{UserData: aws.String("eA==")})
			given := templateData("snap-1")
			disk := got.BlockDeviceMappings[0].Ebs
			if aws.ToString(got.ImageId) != *given.ImageId || got.InstanceType != given.InstanceType || aws.ToString(got.UserData) != "eA==" ||
				disk.SnapshotId != nil || aws.ToInt32(disk.VolumeSize) != 40 {
				t.Errorf("data %+v, volume %+v", got, disk)
			}
		},
	},
	{
		name:        "devices that are given replace the source's",
		motoDiffers: "it does not read the source",
		check: func(t *testing.T, cfg aws.Config) {
			id := makeTemplate(t, cfg, "workers", "snap-1")
			got := versionOfSource(t, cfg, id, &types.RequestLaunchTemplateData{BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{
				{DeviceName: aws.String("/dev/xvdc"), VirtualName: aws.String("ephemeral0")},
			}})
			want := []types.LaunchTemplateBlockDeviceMapping{{DeviceName: aws.String("/dev/xvdc"), VirtualName: aws.String("ephemeral0")}}
			if diff := cmp.Diff(want, got.BlockDeviceMappings, ignoreUnexported); diff != "" || aws.ToString(got.ImageId) == "" {
				t.Errorf("image %q, devices (-want +got):\n%s", aws.ToString(got.ImageId), diff)
			}
		},
	},
	{
		name:        "a version of an absent source, and of nothing",
		motoDiffers: "it makes both",
		check: func(t *testing.T, cfg aws.Config) {
			id := makeTemplate(t, cfg, "workers", "snap-1")
			create := func(source string, data *types.RequestLaunchTemplateData) error {
				_, err := ec2.NewFromConfig(cfg).CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
					LaunchTemplateId: &id, SourceVersion: &source, LaunchTemplateData: data,
				})
				return err
			}
			wantError(t, create("7", templateData("snap-2")), "InvalidLaunchTemplateId.VersionNotFound", "")
			wantError(t, create("1", &types.RequestLaunchTemplateData{}), "MissingParameter", "")
		},
	},
	{
		name:        "versions are deleted each by itself, and their numbers are not given again",
		motoDiffers: "it does not delete versions",
		check: func(t *testing.T, cfg aws.Config) {
			client := ec2.NewFromConfig(cfg)
			id := makeTemplate(t, cfg, "workers", "snap-1", "snap-2", "snap-3")
			out, err := client.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{"1", "3", "9"}})
			if err != nil {
				t.Fatal(err)
			}
			kept := map[int64]types.LaunchTemplateErrorCode{}
			for _, item := range out.UnsuccessfullyDeletedLaunchTemplateVersions {
				kept[*item.VersionNumber] = item.ResponseError.Code
			}
			want := map[int64]types.LaunchTemplateErrorCode{1: "unexpectedError", 9: "launchTemplateVersionDoesNotExist"}
			if diff := cmp.Diff(want, kept); diff != "" || len(out.SuccessfullyDeletedLaunchTemplateVersions) != 1 {
				t.Errorf("deleted %+v, kept (-want +got):\n%s", out.SuccessfullyDeletedLaunchTemplateVersions, diff)
			}
			wantVersions(t, cfg, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{"$Latest"}}, "snap-2")
			made, err := client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &id, LaunchTemplateData: templateData("snap-4")})
			if err != nil || aws.ToInt64(made.LaunchTemplateVersion.VersionNumber) != 4 {
				t.Errorf("the next version: %+v, %v", made, err)
			}
		},
	},
}
