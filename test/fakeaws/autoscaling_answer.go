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

type startInstanceRefreshAnswer struct {
	XMLName   xml.Name `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ StartInstanceRefreshResponse"`
	ID        string   `xml:"StartInstanceRefreshResult>InstanceRefreshId"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type cancelInstanceRefreshAnswer struct {
	XMLName   xml.Name `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ CancelInstanceRefreshResponse"`
	ID        string   `xml:"CancelInstanceRefreshResult>InstanceRefreshId"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type rollbackInstanceRefreshAnswer struct {
	XMLName   xml.Name `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ RollbackInstanceRefreshResponse"`
	ID        string   `xml:"RollbackInstanceRefreshResult>InstanceRefreshId"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type describeInstanceRefreshesAnswer struct {
	XMLName   xml.Name        `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ DescribeInstanceRefreshesResponse"`
	Refreshes []refreshAnswer `xml:"DescribeInstanceRefreshesResult>InstanceRefreshes>member"`
	NextToken string          `xml:"DescribeInstanceRefreshesResult>NextToken,omitempty"`
	RequestID string          `xml:"ResponseMetadata>RequestId"`
}

type refreshAnswer struct {
	ID         string         `xml:"InstanceRefreshId"`
	Group      string         `xml:"AutoScalingGroupName"`
	Status     string         `xml:"Status"`
	Reason     string         `xml:"StatusReason,omitempty"`
	Percentage int32          `xml:"PercentageComplete"`
	ToUpdate   int32          `xml:"InstancesToUpdate"`
	StartTime  string         `xml:"StartTime,omitempty"`
	EndTime    string         `xml:"EndTime,omitempty"`
	Strategy   string         `xml:"Strategy"`
	Desired    *desiredAnswer `xml:"DesiredConfiguration,omitempty"`
}

type desiredAnswer struct {
	Template *specificationAnswer `xml:"LaunchTemplate,omitempty"`
	Policy   *policyAnswer        `xml:"MixedInstancesPolicy,omitempty"`
}

type describeScalingActivitiesAnswer struct {
	XMLName    xml.Name         `xml:"http://autoscaling.amazonaws.com/doc/2011-01-01/ DescribeScalingActivitiesResponse"`
	Activities []activityAnswer `xml:"DescribeScalingActivitiesResult>Activities>member"`
	NextToken  string           `xml:"DescribeScalingActivitiesResult>NextToken,omitempty"`
	RequestID  string           `xml:"ResponseMetadata>RequestId"`
}

type activityAnswer struct {
	ID          string `xml:"ActivityId"`
	Group       string `xml:"AutoScalingGroupName"`
	Cause       string `xml:"Cause"`
	Description string `xml:"Description"`
	StartTime   string `xml:"StartTime"`
	EndTime     string `xml:"EndTime"`
	Status      string `xml:"StatusCode"`
	Message     string `xml:"StatusMessage,omitempty"`
	Progress    int32  `xml:"Progress"`
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
	Template     specificationAnswer `xml:"LaunchTemplate>LaunchTemplateSpecification"`
	Overrides    []overrideAnswer    `xml:"LaunchTemplate>Overrides>member"`
	Distribution *distributionAnswer `xml:"InstancesDistribution,omitempty"`
}

type overrideAnswer struct {
	InstanceType     *string              `xml:"InstanceType,omitempty"`
	WeightedCapacity *string              `xml:"WeightedCapacity,omitempty"`
	Template         *specificationAnswer `xml:"LaunchTemplateSpecification,omitempty"`
	Requirements     *requirementsAnswer  `xml:"InstanceRequirements,omitempty"`
}

type requirementsAnswer struct {
	VCPUs        *rangeAnswer `xml:"VCpuCount,omitempty"`
	MemoryMiB    *rangeAnswer `xml:"MemoryMiB,omitempty"`
	AllowedTypes []string     `xml:"AllowedInstanceTypes>member"`
}

type rangeAnswer struct {
	Min *int32 `xml:"Min,omitempty"`
	Max *int32 `xml:"Max,omitempty"`
}

type distributionAnswer struct {
	OnDemandStrategy   *string `xml:"OnDemandAllocationStrategy,omitempty"`
	OnDemandBase       *int32  `xml:"OnDemandBaseCapacity,omitempty"`
	OnDemandPercentage *int32  `xml:"OnDemandPercentageAboveBaseCapacity,omitempty"`
	SpotStrategy       *string `xml:"SpotAllocationStrategy,omitempty"`
	SpotPools          *int32  `xml:"SpotInstancePools,omitempty"`
	SpotMaxPrice       *string `xml:"SpotMaxPrice,omitempty"`
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

func policyOf(given *types.MixedInstancesPolicy) *policyAnswer {
	if given == nil {
		return nil
	}
	described := &policyAnswer{Template: *specification(given.LaunchTemplate.LaunchTemplateSpecification)}
	for _, override := range given.LaunchTemplate.Overrides {
		answer := overrideAnswer{
			InstanceType: override.InstanceType, WeightedCapacity: override.WeightedCapacity, Template: specification(override.LaunchTemplateSpecification),
		}
		if wants := override.InstanceRequirements; wants != nil {
			answer.Requirements = &requirementsAnswer{AllowedTypes: wants.AllowedInstanceTypes}
			if wants.VCpuCount != nil {
				answer.Requirements.VCPUs = &rangeAnswer{wants.VCpuCount.Min, wants.VCpuCount.Max}
			}
			if wants.MemoryMiB != nil {
				answer.Requirements.MemoryMiB = &rangeAnswer{wants.MemoryMiB.Min, wants.MemoryMiB.Max}
			}
		}
		described.Overrides = append(described.Overrides, answer)
	}
	if by := given.InstancesDistribution; by != nil {
		described.Distribution = &distributionAnswer{
			by.OnDemandAllocationStrategy, by.OnDemandBaseCapacity, by.OnDemandPercentageAboveBaseCapacity,
			by.SpotAllocationStrategy, by.SpotInstancePools, by.SpotMaxPrice,
		}
	}
	return described
}
