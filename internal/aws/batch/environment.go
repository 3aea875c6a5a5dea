package batch

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Status is how a compute environment is.
// https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeEnvironmentDetail.html
type Status string

// Statuses of compute environments.
const (
	Creating Status = "CREATING"
	Updating Status = "UPDATING"
	Deleting Status = "DELETING"
	Deleted  Status = "DELETED"
	Valid    Status = "VALID"
	Invalid  Status = "INVALID"
)

// ComputeEnvironment is what Batch launches the instances of job queues by.
type ComputeEnvironment struct {
	// Name is unique in an account and Region; ID is of this one and not of another of the same name before it.
	Name, ID string
	// Status is how it is, and StatusReason what Batch says of that.
	Status       Status
	StatusReason string
	// Managed tells that Batch launches the instances; Fargate that there are none.
	Managed, Fargate bool
	// EKS tells that the instances are nodes of an EKS cluster. Else they are container instances of ECS.
	EKS bool
	// Spot tells that the instances are Spot instances.
	Spot bool
	// ServiceRole is the ARN of the role that Batch acts by; empty for the service-linked one of an account.
	ServiceRole string
	// AllocationStrategy is how instance types are chosen; empty for BEST_FIT.
	AllocationStrategy string
	// DesiredVCPUs is how many vCPUs its instances are to have at present. Batch does not tell how many instances those are.
	DesiredVCPUs int
	// InstanceTypes are the types and families that it may launch.
	InstanceTypes []string
	// Images are the families of AMIs that instances boot from, one for each kind of instance types.
	Images []Image
	// ImageID is the AMI that the environment itself names, before those of Images; empty for none.
	ImageID string
	// Templates are the launch templates: first the environment's own, then those of overrides. None for an environment
	// without.
	Templates []Template
}

// Image is a family of AMIs.
type Image struct {
	// Type is Batch's name of the family: "ECS_AL2023_NVIDIA".
	// https://docs.aws.amazon.com/batch/latest/APIReference/API_Ec2Configuration.html
	Type string
	// ID is an AMI that is used instead of the family's newest; empty for none.
	ID string
}

// Template is one of the launch templates of a compute environment.
type Template struct {
	// ID and Name are those by which the environment names it; one of the two is empty.
	ID, Name string
	// Version is a number, "$Latest", "$Default", or empty, which is the default one. Batch looks up what is no number at
	// each update that replaces the instances, and at no other time.
	Version string
	// UserdataType is how an EKS node with an AMI of its own is set up; empty where Batch need not be told.
	UserdataType string
	// InstanceTypes are those that an override is for; none for the environment's own template.
	InstanceTypes []string
}

func environmentOf(detail types.ComputeEnvironmentDetail) *ComputeEnvironment {
	environment := &ComputeEnvironment{
		Name:         aws.ToString(detail.ComputeEnvironmentName),
		ID:           aws.ToString(detail.Uuid),
		Status:       Status(detail.Status),
		StatusReason: larderaws.Readable(aws.ToString(detail.StatusReason)),
		Managed:      detail.Type == types.CETypeManaged,
		EKS:          detail.ContainerOrchestrationType == types.OrchestrationTypeEks,
		ServiceRole:  aws.ToString(detail.ServiceRole),
	}
	resources := detail.ComputeResources
	if resources == nil {
		return environment
	}
	environment.Fargate = strings.HasPrefix(string(resources.Type), string(types.CRTypeFargate))
	environment.Spot = resources.Type == types.CRTypeSpot
	environment.ImageID = aws.ToString(resources.ImageId) //nolint:staticcheck // deprecated, and obeyed all the same
	environment.AllocationStrategy = string(resources.AllocationStrategy)
	environment.DesiredVCPUs = int(aws.ToInt32(resources.DesiredvCpus))
	environment.InstanceTypes = slices.Clone(resources.InstanceTypes)
	for _, image := range resources.Ec2Configuration {
		environment.Images = append(environment.Images, Image{Type: aws.ToString(image.ImageType), ID: aws.ToString(image.ImageIdOverride)})
	}
	environment.Templates = templatesOf(resources.LaunchTemplate)
	return environment
}

func templatesOf(specification *types.LaunchTemplateSpecification) []Template {
	if specification == nil {
		return nil
	}
	var templates []Template
	if own := (Template{
		ID:           aws.ToString(specification.LaunchTemplateId),
		Name:         aws.ToString(specification.LaunchTemplateName),
		Version:      aws.ToString(specification.Version),
		UserdataType: string(specification.UserdataType),
	}); own.ID != "" || own.Name != "" {
		templates = append(templates, own)
	}
	for _, override := range specification.Overrides {
		templates = append(templates, Template{
			ID:            aws.ToString(override.LaunchTemplateId),
			Name:          aws.ToString(override.LaunchTemplateName),
			Version:       aws.ToString(override.Version),
			UserdataType:  string(override.UserdataType),
			InstanceTypes: slices.Clone(override.TargetInstanceTypes),
		})
	}
	return templates
}

// specificationOf says everything of every template: an override that an update leaves out is removed.
func specificationOf(templates []Template) *types.LaunchTemplateSpecification {
	specification := &types.LaunchTemplateSpecification{}
	for _, template := range templates {
		id, name := reference(template)
		if len(template.InstanceTypes) == 0 {
			specification.LaunchTemplateId, specification.LaunchTemplateName = id, name
			specification.Version = stated(template.Version)
			specification.UserdataType = types.UserdataType(template.UserdataType)
			continue
		}
		specification.Overrides = append(specification.Overrides, types.LaunchTemplateSpecificationOverride{
			LaunchTemplateId: id, LaunchTemplateName: name, Version: stated(template.Version),
			UserdataType: types.UserdataType(template.UserdataType), TargetInstanceTypes: template.InstanceTypes,
		})
	}
	return specification
}

// reference returns the one of id and name to send: Batch refuses both.
func reference(template Template) (id, name *string) {
	if template.ID != "" {
		return aws.String(template.ID), nil
	}
	return nil, aws.String(template.Name)
}

func stated(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}
