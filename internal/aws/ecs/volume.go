package ecs

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Volume is how a service has ECS make one EBS volume for each of its tasks. What is zero is not said.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceManagedEBSVolumeConfiguration.html
type Volume struct {
	// Name is the volume's in the task definition.
	Name string
	// SnapshotID is what the volume is made from; empty for an empty volume.
	SnapshotID string
	// SizeGiB below the snapshot's has no effect: the snapshot's is taken then.
	SizeGiB int64
	// Type is EBS's: "gp3".
	Type string
	// IOPS are I/O operations a second; Throughput and InitializationRate are in MiB a second.
	IOPS, Throughput, InitializationRate int64
	// FilesystemType is "ext3", "ext4", "xfs" or "ntfs"; ECS takes xfs when it is empty.
	FilesystemType string
	// RoleARN is the infrastructure role by which ECS makes the volume.
	RoleARN string
	// Encrypted is nil when it is not said.
	Encrypted *bool
	KMSKeyID  string
	// Tags are what ECS tags the volumes with.
	Tags []VolumeTags
}

// VolumeTags are the tags of EBS volumes.
type VolumeTags struct {
	// ResourceType is "volume".
	ResourceType string
	// PropagateTags is "SERVICE", "TASK_DEFINITION" or "NONE"; empty for none.
	PropagateTags string
	Tags          map[string]string
}

// volumesOf returns the volumes that ECS makes; other kinds do not exist yet.
func volumesOf(configurations []types.ServiceVolumeConfiguration) []Volume {
	var volumes []Volume
	for _, configuration := range configurations {
		managed := configuration.ManagedEBSVolume
		if managed == nil {
			continue
		}
		volumes = append(volumes, Volume{
			Name:               aws.ToString(configuration.Name),
			SnapshotID:         aws.ToString(managed.SnapshotId),
			SizeGiB:            int64(aws.ToInt32(managed.SizeInGiB)),
			Type:               aws.ToString(managed.VolumeType),
			IOPS:               int64(aws.ToInt32(managed.Iops)),
			Throughput:         int64(aws.ToInt32(managed.Throughput)),
			InitializationRate: int64(aws.ToInt32(managed.VolumeInitializationRate)),
			FilesystemType:     string(managed.FilesystemType),
			RoleARN:            aws.ToString(managed.RoleArn),
			Encrypted:          managed.Encrypted,
			KMSKeyID:           aws.ToString(managed.KmsKeyId),
			Tags:               volumeTagsOf(managed.TagSpecifications),
		})
	}
	return volumes
}

func volumeTagsOf(specifications []types.EBSTagSpecification) []VolumeTags {
	var all []VolumeTags
	for _, specification := range specifications {
		all = append(all, VolumeTags{
			ResourceType:  string(specification.ResourceType),
			PropagateTags: string(specification.PropagateTags),
			Tags:          tagMap(specification.Tags),
		})
	}
	return all
}

func (v Volume) configuration() types.ServiceVolumeConfiguration {
	managed := &types.ServiceManagedEBSVolumeConfiguration{
		SnapshotId:               text(v.SnapshotID),
		SizeInGiB:                number(v.SizeGiB),
		VolumeType:               text(v.Type),
		Iops:                     number(v.IOPS),
		Throughput:               number(v.Throughput),
		VolumeInitializationRate: number(v.InitializationRate),
		FilesystemType:           types.TaskFilesystemType(v.FilesystemType),
		RoleArn:                  text(v.RoleARN),
		Encrypted:                v.Encrypted,
		KmsKeyId:                 text(v.KMSKeyID),
	}
	for _, tags := range v.Tags {
		managed.TagSpecifications = append(managed.TagSpecifications, types.EBSTagSpecification{
			ResourceType:  types.EBSResourceType(tags.ResourceType),
			PropagateTags: types.PropagateTags(tags.PropagateTags),
			Tags:          tagList(tags.Tags),
		})
	}
	return types.ServiceVolumeConfiguration{Name: aws.String(v.Name), ManagedEBSVolume: managed}
}

func text(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

// number is for sizes and rates, which EBS bounds far below 32 bits.
func number(value int64) *int32 {
	if value == 0 {
		return nil
	}
	return aws.Int32(int32(value)) //nolint:gosec // The API of bindings bounds them, and ECS gave the others as 32 bits.
}

func tagMap(tags []types.Tag) map[string]string {
	values := map[string]string{}
	for _, tag := range tags {
		values[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return values
}

func tagList(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}
