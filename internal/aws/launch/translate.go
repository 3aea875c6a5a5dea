package launch

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func templateOf(one types.LaunchTemplate) Template {
	return Template{
		ID: aws.ToString(one.LaunchTemplateId), Name: aws.ToString(one.LaunchTemplateName),
		DefaultVersion: aws.ToInt64(one.DefaultVersionNumber), LatestVersion: aws.ToInt64(one.LatestVersionNumber),
	}
}

func versionOf(one types.LaunchTemplateVersion) Version {
	version := Version{
		TemplateID: aws.ToString(one.LaunchTemplateId), Number: aws.ToInt64(one.VersionNumber), Description: aws.ToString(one.VersionDescription),
		CreatedBy: aws.ToString(one.CreatedBy), CreateTime: aws.ToTime(one.CreateTime), Default: aws.ToBool(one.DefaultVersion),
	}
	data := one.LaunchTemplateData
	if data == nil {
		return version
	}
	version.ImageID, version.InstanceType, version.UserData = aws.ToString(data.ImageId), string(data.InstanceType), aws.ToString(data.UserData)
	version.Spot = data.InstanceMarketOptions != nil && data.InstanceMarketOptions.MarketType == types.MarketTypeSpot
	for _, mapping := range data.BlockDeviceMappings {
		version.Devices = append(version.Devices, deviceOf(mapping))
	}
	return version
}

func deviceOf(mapping types.LaunchTemplateBlockDeviceMapping) Device {
	device := Device{Name: aws.ToString(mapping.DeviceName), VirtualName: aws.ToString(mapping.VirtualName), NoDevice: mapping.NoDevice != nil}
	if disk := mapping.Ebs; disk != nil {
		device.EBS = &Volume{
			SnapshotID: aws.ToString(disk.SnapshotId), SizeGiB: int64(aws.ToInt32(disk.VolumeSize)), Type: string(disk.VolumeType),
			IOPS: int64(aws.ToInt32(disk.Iops)), Throughput: int64(aws.ToInt32(disk.Throughput)), InitializationRate: int64(aws.ToInt32(disk.VolumeInitializationRate)),
			Encrypted: disk.Encrypted, DeleteOnTermination: disk.DeleteOnTermination, KMSKeyID: aws.ToString(disk.KmsKeyId), CardIndex: disk.EbsCardIndex,
		}
	}
	return device
}

func requestOf(device Device) types.LaunchTemplateBlockDeviceMappingRequest {
	mapping := types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: said(device.Name), VirtualName: said(device.VirtualName)}
	if device.NoDevice {
		mapping.NoDevice = aws.String("")
	}
	if disk := device.EBS; disk != nil {
		mapping.Ebs = &types.LaunchTemplateEbsBlockDeviceRequest{
			SnapshotId: said(disk.SnapshotID), VolumeSize: saidNumber(disk.SizeGiB), VolumeType: types.VolumeType(disk.Type),
			Iops: saidNumber(disk.IOPS), Throughput: saidNumber(disk.Throughput), VolumeInitializationRate: saidNumber(disk.InitializationRate),
			Encrypted: disk.Encrypted, DeleteOnTermination: disk.DeleteOnTermination, KmsKeyId: said(disk.KMSKeyID), EbsCardIndex: disk.CardIndex,
		}
	}
	return mapping
}

func said(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// saidNumber is of sizes and rates, which EC2 itself counts in 32 bits.
func saidNumber(number int64) *int32 {
	if number == 0 {
		return nil
	}
	return aws.Int32(int32(number)) //nolint:gosec // G115: it is a number that EC2 gave in 32 bits, or one that the API bounds
}
