package fakeaws

import (
	"encoding/xml"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

type createAutoScalingGroupAnswer struct {
	XMLName   xml.Name `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ CreateAutoScalingGroupResponse"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type updateAutoScalingGroupAnswer struct {
	XMLName   xml.Name `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ UpdateAutoScalingGroupResponse"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type deleteAutoScalingGroupAnswer struct {
	XMLName   xml.Name `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ DeleteAutoScalingGroupResponse"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type describeAutoScalingGroupsAnswer struct {
	XMLName   xml.Name      `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ DescribeAutoScalingGroupsResponse"`
	Groups    []groupAnswer `xml:"DescribeAutoScalingGroupsResult>AutoScalingGroups>member"`
	NextToken string        `xml:"DescribeAutoScalingGroupsResult>NextToken,omitempty"`
	RequestID string        `xml:"ResponseMetadata>RequestId"`
}

type groupAnswer struct {
	Name            string               `xml:"AutoScalingGroupName"`
	ARN             string               `xml:"AutoScalingGroupARN"`
	CreatedTime     string               `xml:"CreatedTime"`
	Min             int32                `xml:"MinSize"`
	Max             int32                `xml:"MaxSize"`
	Desired         int32                `xml:"DesiredCapacity"`
	DefaultCooldown int32                `xml:"DefaultCooldown"`
	HealthCheckType string               `xml:"HealthCheckType"`
	Zones           []string             `xml:"AvailabilityZones>member"`
	Subnets         string               `xml:"VPCZoneIdentifier,omitempty"`
	Template        *specificationAnswer `xml:"LaunchTemplate,omitempty"`
	Policy          *policyAnswer        `xml:"MixedInstancesPolicy,omitempty"`
	Instances       []instanceAnswer     `xml:"Instances>member"`
}

type policyAnswer struct {
	Template  specificationAnswer `xml:"LaunchTemplate>LaunchTemplateSpecification"`
	Overrides []overrideAnswer    `xml:"LaunchTemplate>Overrides>member"`
}

type overrideAnswer struct {
	InstanceType     *string              `xml:"InstanceType,omitempty"`
	WeightedCapacity *string              `xml:"WeightedCapacity,omitempty"`
	Template         *specificationAnswer `xml:"LaunchTemplateSpecification,omitempty"`
}

type specificationAnswer struct {
	ID      *string `xml:"LaunchTemplateId,omitempty"`
	Name    *string `xml:"LaunchTemplateName,omitempty"`
	Version *string `xml:"Version,omitempty"`
}

type instanceAnswer struct {
	ID             string               `xml:"InstanceId"`
	Zone           string               `xml:"AvailabilityZone"`
	HealthStatus   string               `xml:"HealthStatus"`
	LifecycleState string               `xml:"LifecycleState"`
	Protected      bool                 `xml:"ProtectedFromScaleIn"`
	Template       *specificationAnswer `xml:"LaunchTemplate"`
}

func specification(given *types.LaunchTemplateSpecification) *specificationAnswer {
	if given == nil {
		return nil
	}
	return &specificationAnswer{ID: given.LaunchTemplateId, Name: given.LaunchTemplateName, Version: given.Version}
}
