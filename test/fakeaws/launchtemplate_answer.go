package fakeaws

import (
	"encoding/xml"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type createLaunchTemplateAnswer struct {
	XMLName   xml.Name             `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ CreateLaunchTemplateResponse"`
	RequestID string               `xml:"requestId"`
	Template  launchTemplateAnswer `xml:"launchTemplate"`
}

type modifyLaunchTemplateAnswer struct {
	XMLName   xml.Name             `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ ModifyLaunchTemplateResponse"`
	RequestID string               `xml:"requestId"`
	Template  launchTemplateAnswer `xml:"launchTemplate"`
}

type deleteLaunchTemplateAnswer struct {
	XMLName   xml.Name             `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DeleteLaunchTemplateResponse"`
	RequestID string               `xml:"requestId"`
	Template  launchTemplateAnswer `xml:"launchTemplate"`
}

type describeLaunchTemplatesAnswer struct {
	XMLName   xml.Name               `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeLaunchTemplatesResponse"`
	RequestID string                 `xml:"requestId"`
	Templates []launchTemplateAnswer `xml:"launchTemplates>item"`
	NextToken string                 `xml:"nextToken,omitempty"`
}

type createLaunchTemplateVersionAnswer struct {
	XMLName   xml.Name              `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ CreateLaunchTemplateVersionResponse"`
	RequestID string                `xml:"requestId"`
	Version   templateVersionAnswer `xml:"launchTemplateVersion"`
	Warning   *warningAnswer        `xml:"warning,omitempty"`
}

type warningAnswer struct {
	Errors []codedAnswer `xml:"errorSet>item"`
}

type codedAnswer struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

type deleteLaunchTemplateVersionsAnswer struct {
	XMLName   xml.Name               `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DeleteLaunchTemplateVersionsResponse"`
	RequestID string                 `xml:"requestId"`
	Deleted   []deletedVersionAnswer `xml:"successfullyDeletedLaunchTemplateVersionSet>item"`
	Kept      []deletedVersionAnswer `xml:"unsuccessfullyDeletedLaunchTemplateVersionSet>item"`
}

type deletedVersionAnswer struct {
	TemplateID   string       `xml:"launchTemplateId"`
	TemplateName string       `xml:"launchTemplateName"`
	Number       int64        `xml:"versionNumber"`
	Error        *codedAnswer `xml:"responseError,omitempty"`
}

type describeLaunchTemplateVersionsAnswer struct {
	XMLName   xml.Name                `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeLaunchTemplateVersionsResponse"`
	RequestID string                  `xml:"requestId"`
	Versions  []templateVersionAnswer `xml:"launchTemplateVersionSet>item"`
	NextToken string                  `xml:"nextToken,omitempty"`
}

type launchTemplateAnswer struct {
	ID             string      `xml:"launchTemplateId"`
	Name           string      `xml:"launchTemplateName"`
	CreateTime     string      `xml:"createTime"`
	CreatedBy      string      `xml:"createdBy"`
	DefaultVersion int64       `xml:"defaultVersionNumber"`
	LatestVersion  int64       `xml:"latestVersionNumber"`
	Tags           []tagAnswer `xml:"tagSet>item"`
}

type templateVersionAnswer struct {
	TemplateID   string             `xml:"launchTemplateId"`
	TemplateName string             `xml:"launchTemplateName"`
	Number       int64              `xml:"versionNumber"`
	Description  string             `xml:"versionDescription,omitempty"`
	CreateTime   string             `xml:"createTime"`
	CreatedBy    string             `xml:"createdBy"`
	Default      bool               `xml:"defaultVersion"`
	Data         templateDataAnswer `xml:"launchTemplateData"`
}

type templateDataAnswer struct {
	ImageID      *string                   `xml:"imageId,omitempty"`
	InstanceType string                    `xml:"instanceType,omitempty"`
	UserData     *string                   `xml:"userData,omitempty"`
	Market       *marketAnswer             `xml:"instanceMarketOptions,omitempty"`
	Devices      []deviceAnswer            `xml:"blockDeviceMappingSet>item"`
	Tags         []tagSpecificationsAnswer `xml:"tagSpecificationSet>item"`
}

type marketAnswer struct {
	Type string `xml:"marketType"`
}

type deviceAnswer struct {
	Name        *string          `xml:"deviceName,omitempty"`
	VirtualName *string          `xml:"virtualName,omitempty"`
	NoDevice    *string          `xml:"noDevice,omitempty"`
	EBS         *ebsDeviceAnswer `xml:"ebs,omitempty"`
}

type ebsDeviceAnswer struct {
	DeleteOnTermination      *bool   `xml:"deleteOnTermination,omitempty"`
	EbsCardIndex             *int32  `xml:"ebsCardIndex,omitempty"`
	Encrypted                *bool   `xml:"encrypted,omitempty"`
	Iops                     *int32  `xml:"iops,omitempty"`
	KmsKeyID                 *string `xml:"kmsKeyId,omitempty"`
	SnapshotID               *string `xml:"snapshotId,omitempty"`
	Throughput               *int32  `xml:"throughput,omitempty"`
	VolumeInitializationRate *int32  `xml:"volumeInitializationRate,omitempty"`
	VolumeSize               *int32  `xml:"volumeSize,omitempty"`
	VolumeType               string  `xml:"volumeType,omitempty"`
}

type tagSpecificationsAnswer struct {
	ResourceType string      `xml:"resourceType"`
	Tags         []tagAnswer `xml:"tagSet>item"`
}

func (s *Server) describeVersion(of *launchTemplate, one *templateVersion) templateVersionAnswer {
	described := templateVersionAnswer{
		TemplateID:   of.id,
		TemplateName: of.name,
		Number:       one.number,
		Description:  one.description,
		CreateTime:   one.createdAt.UTC().Format(time.RFC3339),
		CreatedBy:    one.createdBy,
		Default:      one.number == of.defaultVersion,
		Data: templateDataAnswer{
			ImageID:      one.data.ImageId,
			InstanceType: string(one.data.InstanceType),
			UserData:     one.data.UserData,
		},
	}
	if market := one.data.InstanceMarketOptions; market != nil {
		described.Data.Market = &marketAnswer{Type: string(market.MarketType)}
	}
	for _, device := range one.data.BlockDeviceMappings {
		described.Data.Devices = append(described.Data.Devices, describeDevice(device))
	}
	for _, specification := range one.data.TagSpecifications {
		answer := tagSpecificationsAnswer{ResourceType: string(specification.ResourceType)}
		for _, tag := range specification.Tags {
			answer.Tags = append(answer.Tags, tagAnswer{Key: aws.ToString(tag.Key), Value: aws.ToString(tag.Value)})
		}
		described.Data.Tags = append(described.Data.Tags, answer)
	}
	return described
}

func describeDevice(device types.LaunchTemplateBlockDeviceMappingRequest) deviceAnswer {
	described := deviceAnswer{Name: device.DeviceName, VirtualName: device.VirtualName, NoDevice: device.NoDevice}
	if disk := device.Ebs; disk != nil {
		described.EBS = &ebsDeviceAnswer{
			DeleteOnTermination:      disk.DeleteOnTermination,
			EbsCardIndex:             disk.EbsCardIndex,
			Encrypted:                disk.Encrypted,
			Iops:                     disk.Iops,
			KmsKeyID:                 disk.KmsKeyId,
			SnapshotID:               disk.SnapshotId,
			Throughput:               disk.Throughput,
			VolumeInitializationRate: disk.VolumeInitializationRate,
			VolumeSize:               disk.VolumeSize,
			VolumeType:               string(disk.VolumeType),
		}
	}
	return described
}
