package fakeaws_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestLaunchTemplateKeepsWhatItIsGiven(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}
	given := templateData("snap-1")
	given.UserData = aws.String("W3NldHRpbmdzXQ==")
	given.TagSpecifications = []types.LaunchTemplateTagSpecificationRequest{{ResourceType: types.ResourceTypeInstance, Tags: tags}}
	given.BlockDeviceMappings[0].Ebs.KmsKeyId = aws.String("alias/larder")
	given.BlockDeviceMappings[0].Ebs.VolumeInitializationRate = aws.Int32(300)
	given.BlockDeviceMappings = append(given.BlockDeviceMappings, types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: aws.String("/dev/xvdc"), NoDevice: aws.String("")})
	made, err := a.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("workers"), LaunchTemplateData: given, VersionDescription: aws.String("first"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeLaunchTemplate, Tags: tags}},
	})
	if err != nil {
		t.Fatal(err)
	}
	template := made.LaunchTemplate
	if aws.ToInt64(template.DefaultVersionNumber) != 1 || aws.ToInt64(template.LatestVersionNumber) != 1 || !aws.ToTime(template.CreateTime).Equal(epoch) {
		t.Errorf("launch template %+v", template)
	}
	if diff := cmp.Diff(tags, template.Tags, ignoreUnexported); diff != "" {
		t.Errorf("its tags (-want +got):\n%s", diff)
	}
	out, err := a.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: template.LaunchTemplateId})
	if err != nil {
		t.Fatal(err)
	}
	disk := given.BlockDeviceMappings[0].Ebs
	want := []types.LaunchTemplateVersion{{
		LaunchTemplateId: template.LaunchTemplateId, LaunchTemplateName: aws.String("workers"), VersionNumber: aws.Int64(1), DefaultVersion: aws.Bool(true),
		VersionDescription: aws.String("first"), CreateTime: aws.Time(epoch), CreatedBy: aws.String("arn:aws:iam::111122223333:user/larder"),
		LaunchTemplateData: &types.ResponseLaunchTemplateData{
			ImageId: given.ImageId, InstanceType: given.InstanceType, UserData: given.UserData,
			TagSpecifications: []types.LaunchTemplateTagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: tags}},
			BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMapping{
				{DeviceName: aws.String("/dev/xvdb"), Ebs: &types.LaunchTemplateEbsBlockDevice{
					SnapshotId: disk.SnapshotId, VolumeSize: disk.VolumeSize, VolumeType: disk.VolumeType, Iops: disk.Iops, Throughput: disk.Throughput,
					VolumeInitializationRate: disk.VolumeInitializationRate, DeleteOnTermination: disk.DeleteOnTermination, Encrypted: disk.Encrypted, KmsKeyId: disk.KmsKeyId,
				}},
				{DeviceName: aws.String("/dev/xvdc"), NoDevice: aws.String("")},
			},
		},
	}}
	if diff := cmp.Diff(want, out.LaunchTemplateVersions, ignoreUnexported); diff != "" {
		t.Errorf("version (-want +got):\n%s", diff)
	}
}

func TestLaunchTemplateRefusals(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := makeTemplate(t, a.noRetries(), "workers", "snap-1")
	create := func(in ec2.CreateLaunchTemplateInput) error {
		in.LaunchTemplateData = templateData("snap-1")
		_, err := a.ec2.CreateLaunchTemplate(t.Context(), &in)
		return err
	}
	versions := func(in ec2.DescribeLaunchTemplateVersionsInput) error {
		_, err := a.ec2.DescribeLaunchTemplateVersions(t.Context(), &in)
		return err
	}
	templates := func(in ec2.DescribeLaunchTemplatesInput) error {
		_, err := a.ec2.DescribeLaunchTemplates(t.Context(), &in)
		return err
	}
	cases := map[string]struct {
		err  error
		want string
	}{
		"a short name":               {create(ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("ab")}), "InvalidLaunchTemplateName.MalformedException"},
		"a name with a space":        {create(ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("a b")}), "InvalidLaunchTemplateName.MalformedException"},
		"a long token":               {create(ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("other"), ClientToken: aws.String(strings.Repeat("t", 129))}), "InvalidParameterValue"},
		"another resource's tags":    {create(ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("other"), TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance}}}), "InvalidParameterValue"},
		"a dry run":                  {create(ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("other"), DryRun: aws.Bool(true)}), "DryRunOperation"},
		"id and name":                {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, LaunchTemplateName: aws.String("workers")}), "InvalidParameterCombination"},
		"a malformed id":             {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-1")}), "InvalidLaunchTemplateId.Malformed"},
		"no version":                 {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{"newest"}}), "InvalidParameterValue"},
		"numbers of all":             {versions(ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "1"}}), "InvalidParameterCombination"},
		"a page of none":             {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, MaxResults: aws.Int32(0)}), "InvalidParameterValue"},
		"a page too large":           {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, MaxResults: aws.Int32(201)}), "InvalidParameterValue"},
		"a token of other use":       {versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, NextToken: aws.String("x")}), "InvalidNextToken"},
		"pages of ids":               {templates(ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{id}, MaxResults: aws.Int32(5)}), "InvalidParameterCombination"},
		"one of two ids":             {templates(ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{id, "lt-0123456789abcdef0"}}), "InvalidLaunchTemplateId.NotFound"},
		"one of two names":           {templates(ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"workers", "none"}}), "InvalidLaunchTemplateName.NotFoundException"},
		"no data":                    {noData(t, a), "MissingParameter"},
		"a long description":         {create(ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("other"), VersionDescription: aws.String(strings.Repeat("d", 256))}), "InvalidParameterValue"},
		"a deletion of nothing":      {deletion(t, a, id), "MissingParameter"},
		"of too much":                {deletion(t, a, id, make([]string, 201)...), "InvalidParameterValue"},
		"of a name":                  {deletion(t, a, id, "$Latest"), "InvalidParameterValue"},
		"a template that was a test": {templates(ec2.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"other"}}), "InvalidLaunchTemplateName.NotFoundException"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { wantError(t, c.err, c.want, "") })
	}
}

func noData(t *testing.T, a *account) error {
	_, err := a.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("other"), LaunchTemplateData: &types.RequestLaunchTemplateData{}})
	return err
}

func deletion(t *testing.T, a *account, id string, versions ...string) error {
	for i := range versions {
		if versions[i] == "" {
			versions[i] = fmt.Sprint(i + 2)
		}
	}
	if versions == nil {
		versions = []string{}
	}
	_, err := a.ec2.DeleteLaunchTemplateVersions(t.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: versions})
	return err
}

// A version's answer warns of what cannot be launched, and the version is there all the same.
func TestWarningOfALaunchTemplateVersion(t *testing.T) {
	a := newAccount(t, fakeaws.Options{WarnOfSnapshots: true})
	exists := a.AddSnapshot(fakeaws.Snapshot{})
	id := makeTemplate(t, a.noRetries(), "workers", exists)
	for snapshot, want := range map[string]int{exists: 0, "snap-none": 1} {
		out, err := a.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &id, LaunchTemplateData: templateData(snapshot)})
		if err != nil {
			t.Fatal(err)
		}
		var warned []types.ValidationError
		if out.Warning != nil {
			warned = out.Warning.Errors
		}
		if len(warned) != want || aws.ToInt64(out.LaunchTemplateVersion.VersionNumber) < 2 {
			t.Errorf("%s: warned of %+v", snapshot, warned)
		}
	}
}

func TestLaunchTemplateVersionsAreLimited(t *testing.T) {
	a := newAccount(t, fakeaws.Options{TemplateVersions: 2})
	id := makeTemplate(t, a.noRetries(), "workers", "snap-1", "snap-2")
	create := func() error {
		_, err := a.ec2.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &id, LaunchTemplateData: templateData("snap-3")})
		return err
	}
	wantError(t, create(), "MaxTemplateVersionLimitExceeded", "")
	if err := deletion(t, a, id, "2"); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
}

func TestVersionCreator(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := makeTemplate(t, a.noRetries(), "workers", "snap-1")
	const terraform = "arn:aws:sts::111122223333:assumed-role/terraform/ci"
	if !a.SetVersionCreator(id, 1, terraform, epoch.Add(-time.Hour)) || a.SetVersionCreator(id, 2, terraform, epoch) {
		t.Error("it does not tell whether there is such a version")
	}
	out, err := a.ec2.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.LaunchTemplateVersions[0]; aws.ToString(got.CreatedBy) != terraform || !aws.ToTime(got.CreateTime).Equal(epoch.Add(-time.Hour)) {
		t.Errorf("version %+v", got)
	}
}

func TestLaunchTemplatePages(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	want := map[string]bool{}
	for i := range 7 {
		want[makeTemplate(t, a.noRetries(), fmt.Sprintf("template-%d", i), "snap-1", "snap-2")] = true
	}
	elsewhere := a.noRetries()
	elsewhere.Region = "eu-west-1"
	makeTemplate(t, elsewhere, "template-0", "snap-1")
	listed := map[string]bool{}
	for pages := ec2.NewDescribeLaunchTemplatesPaginator(a.ec2, &ec2.DescribeLaunchTemplatesInput{MaxResults: aws.Int32(3)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, template := range page.LaunchTemplates {
			listed[*template.LaunchTemplateId] = true
		}
	}
	if diff := cmp.Diff(want, listed); diff != "" || a.Calls("DescribeLaunchTemplates") != 3 {
		t.Errorf("templates in %d pages (-want +got):\n%s", a.Calls("DescribeLaunchTemplates"), diff)
	}
	versions := 0
	in := &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}, MaxResults: aws.Int32(5)}
	for pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(a.ec2, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		versions += len(page.LaunchTemplateVersions)
	}
	if versions != 14 || a.Calls("DescribeLaunchTemplateVersions") != 3 {
		t.Errorf("%d versions in %d pages, want 14 in 3", versions, a.Calls("DescribeLaunchTemplateVersions"))
	}
}

func TestLostResponseOfALaunchTemplate(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	a.Inject(fakeaws.Fault{Action: "CreateLaunchTemplate", Kind: fakeaws.LostResponse, Times: 1})
	create := func() (*ec2.CreateLaunchTemplateOutput, error) {
		return a.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("workers"), LaunchTemplateData: templateData("snap-1"), ClientToken: aws.String("t")})
	}
	if _, err := create(); err == nil {
		t.Error("the answer was not lost")
	}
	if out, err := create(); err != nil || aws.ToString(out.LaunchTemplate.LaunchTemplateName) != "workers" {
		t.Errorf("the token does not find what it made: %+v, %v", out, err)
	}
}
