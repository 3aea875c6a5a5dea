package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

const (
	oneImage, otherImage      = "ami-11111111111111111", "ami-22222222222222222"
	oldImage, elsewhere       = "ami-33333333333333333", "ami-44444444444444444"
	absentImage, noImageAtAll = "ami-55555555555555555", "snap-1"
)

func TestDescribeImages(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	server.AddImage(fakeaws.Image{ID: oneImage, Architecture: "x86_64", RootDevice: "/dev/xvda", Volumes: map[string]int64{"/dev/xvda": 2, "/dev/xvdb": 20}})
	server.AddImage(fakeaws.Image{ID: otherImage, Architecture: "arm64"})
	server.AddImage(fakeaws.Image{ID: oldImage, Deprecated: true})
	server.AddImage(fakeaws.Image{ID: elsewhere, Region: "eu-west-1"})
	client := ec2.NewFromConfig(server.Config())
	filter := func(name string, values ...string) []types.Filter {
		return []types.Filter{{Name: &name, Values: values}}
	}
	cases := map[string]struct {
		in   ec2.DescribeImagesInput
		want []string
		code string
	}{
		"all":                   {in: ec2.DescribeImagesInput{}, want: []string{oneImage, otherImage}},
		"deprecated ones too":   {in: ec2.DescribeImagesInput{IncludeDeprecated: aws.Bool(true)}, want: []string{oneImage, otherImage, oldImage}},
		"by id":                 {in: ec2.DescribeImagesInput{ImageIds: []string{oldImage, oneImage}}, want: []string{oneImage, oldImage}},
		"by filter":             {in: ec2.DescribeImagesInput{Filters: filter("image-id", otherImage, absentImage, oldImage)}, want: []string{otherImage}},
		"an absent id":          {in: ec2.DescribeImagesInput{ImageIds: []string{oneImage, absentImage}}, code: "InvalidAMIID.NotFound"},
		"another Region's":      {in: ec2.DescribeImagesInput{ImageIds: []string{elsewhere}}, code: "InvalidAMIID.NotFound"},
		"no id":                 {in: ec2.DescribeImagesInput{ImageIds: []string{noImageAtAll}}, code: "InvalidAMIID.Malformed"},
		"too large a page":      {in: ec2.DescribeImagesInput{MaxResults: aws.Int32(1001)}, code: "InvalidParameterValue"},
		"too many values":       {in: ec2.DescribeImagesInput{Filters: filter("image-id", make([]string, 201)...)}, code: "FilterLimitExceeded"},
		"a token of its own":    {in: ec2.DescribeImagesInput{NextToken: aws.String("x")}, code: "InvalidNextToken"},
		"without really asking": {in: ec2.DescribeImagesInput{DryRun: aws.Bool(true)}, code: "DryRunOperation"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := client.DescribeImages(t.Context(), &c.in)
			if c.code != "" {
				wantError(t, err, c.code, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, image := range out.Images {
				got = append(got, aws.ToString(image.ImageId))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescribeImagesInPages(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	for _, id := range []string{oneImage, otherImage, oldImage} {
		server.AddImage(fakeaws.Image{ID: id, RootDevice: "/dev/xvda", Volumes: map[string]int64{"/dev/xvda": 8, "/dev/xvdb": 0}})
	}
	var got []string
	for pages := ec2.NewDescribeImagesPaginator(ec2.NewFromConfig(server.Config()), &ec2.DescribeImagesInput{MaxResults: aws.Int32(2)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range page.Images {
			devices := image.BlockDeviceMappings
			if len(devices) != 2 || aws.ToInt32(devices[0].Ebs.VolumeSize) != 8 || devices[1].Ebs != nil || aws.ToString(devices[1].VirtualName) == "" {
				t.Errorf("the devices of %s are %+v", aws.ToString(image.ImageId), devices)
			}
			got = append(got, aws.ToString(image.ImageId))
		}
	}
	if diff := cmp.Diff([]string{oneImage, otherImage, oldImage}, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}
