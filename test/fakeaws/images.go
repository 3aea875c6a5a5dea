package fakeaws

import (
	"encoding/xml"
	"maps"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// imageMembers are the modelled members of DescribeImages.
var imageMembers = []string{"DryRun", "Filters", "ImageIds", "IncludeDeprecated", "MaxResults", "NextToken"}

// maxImagesPerPage is the most of a page; without a size there is one page.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html
const maxImagesPerPage = 1000

// imageOwner is Amazon EKS in most Regions: https://docs.aws.amazon.com/eks/latest/userguide/add-ons-images.html
const imageOwner = "602401143452"

var imageID = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)

// Image is an AMI that everybody may launch.
type Image struct {
	// ID is like "ami-0123456789abcdef0".
	ID string
	// Name and Description are what its maker calls it.
	Name, Description string
	// Owner is the account that made it; Amazon's own by default, which alone has an alias.
	Owner string
	// Region defaults to the server's.
	Region string
	// Architecture is EC2's word for it: "x86_64" or "arm64".
	Architecture string
	// RootDevice is what instances boot from, like "/dev/xvda".
	RootDevice string
	// Volumes are the sizes of the block devices by their names, in GiB; one of 0 is an instance store volume.
	Volumes map[string]int64
	// Deprecated AMIs are listed only when they are asked for.
	Deprecated bool
}

type describeImagesAnswer struct {
	XMLName   xml.Name      `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeImagesResponse"`
	RequestID string        `xml:"requestId"`
	Images    []imageAnswer `xml:"imagesSet>item"`
	NextToken string        `xml:"nextToken,omitempty"`
}

type imageAnswer struct {
	ID           string              `xml:"imageId"`
	State        string              `xml:"imageState"`
	Name         string              `xml:"name,omitempty"`
	Description  string              `xml:"description,omitempty"`
	Owner        string              `xml:"imageOwnerId"`
	OwnerAlias   string              `xml:"imageOwnerAlias,omitempty"`
	Public       bool                `xml:"isPublic"`
	Architecture string              `xml:"architecture"`
	Type         string              `xml:"imageType"`
	RootDevice   string              `xml:"rootDeviceName"`
	Devices      []imageDeviceAnswer `xml:"blockDeviceMapping>item"`
}

type imageDeviceAnswer struct {
	Name        string           `xml:"deviceName"`
	VirtualName string           `xml:"virtualName,omitempty"`
	EBS         *ebsDeviceAnswer `xml:"ebs,omitempty"`
}

// AddImage puts an AMI in, which must have an id of its own.
func (s *Server) AddImage(image Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if image.Region == "" {
		image.Region = s.options.Region
	}
	s.images = append(s.images, image)
}

func (s *Server) describeImages(region string, in *ec2.DescribeImagesInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkImagesInput(region, in); err != nil {
		return nil, err
	}
	var chosen []imageAnswer
	for _, one := range s.images {
		asked := len(in.ImageIds) == 0 && (aws.ToBool(in.IncludeDeprecated) || !one.Deprecated) || slices.Contains(in.ImageIds, one.ID)
		for _, filter := range in.Filters {
			asked = asked && matches(filter, one.ID)
		}
		if one.Region == region && asked {
			chosen = append(chosen, describeImage(one))
		}
	}
	size := len(chosen)
	if in.MaxResults != nil {
		size = int(*in.MaxResults)
	}
	part, next, ok := page(chosen, "images", size, in.NextToken)
	if !ok {
		return nil, ec2Error("InvalidNextToken", "The token '%s' is invalid.", *in.NextToken)
	}
	return describeImagesAnswer{RequestID: "fakeaws", Images: part, NextToken: next}, nil
}

func (s *Server) checkImagesInput(region string, in *ec2.DescribeImagesInput) error {
	if in.MaxResults != nil && (*in.MaxResults < 1 || *in.MaxResults > maxImagesPerPage) {
		return ec2Error("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between 1 and %d.", *in.MaxResults, maxImagesPerPage)
	}
	if err := checkFilters(in.Filters); err != nil {
		return err
	}
	for _, filter := range in.Filters {
		if name := aws.ToString(filter.Name); name != "image-id" {
			return unmodelled("DescribeImages: filter %s", name)
		}
	}
	for _, id := range in.ImageIds {
		if !imageID.MatchString(id) {
			return ec2Error("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
		}
		if !slices.ContainsFunc(s.images, func(one Image) bool { return one.Region == region && one.ID == id }) {
			return ec2Error("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
	}
	return nil
}

func describeImage(one Image) imageAnswer {
	described := imageAnswer{
		ID: one.ID, State: "available", Name: one.Name, Description: one.Description, Owner: one.Owner, Public: true,
		Architecture: one.Architecture, Type: "machine", RootDevice: one.RootDevice,
	}
	if one.Owner == "" {
		described.Owner, described.OwnerAlias = imageOwner, "amazon"
	}
	for _, name := range slices.Sorted(maps.Keys(one.Volumes)) {
		device := imageDeviceAnswer{Name: name, VirtualName: "ephemeral0"}
		if size := int32(one.Volumes[name]); size > 0 {
			device = imageDeviceAnswer{Name: name, EBS: &ebsDeviceAnswer{VolumeSize: &size, VolumeType: "gp3"}}
		}
		described.Devices = append(described.Devices, device)
	}
	return described
}
