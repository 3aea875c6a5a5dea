package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ManagedNodeGroupTarget is one device of an EKS managed node group. EKS replaces all nodes of the group at each change, at
// the pace of the group's own update configuration.
//
// +kubebuilder:validation:XValidation:rule="self.clusterName == oldSelf.clusterName && self.nodeGroupName == oldSelf.nodeGroupName",message="target.managedNodeGroup cannot name another group: delete the binding (which restores the group) and create one for the other"
// +kubebuilder:validation:XValidation:rule="self.device.name == oldSelf.device.name",message="device.name cannot be changed: delete the binding (which restores the device) and create one for the other device"
type ManagedNodeGroupTarget struct {
	// clusterName is the EKS cluster's, in the operator's account and Region.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9A-Za-z][A-Za-z0-9_-]*$')",message="managedNodeGroup.clusterName must be an EKS cluster's name"
	ClusterName string `json:"clusterName"`

	// nodeGroupName is the node group's. It must have been created with a launch template: EKS lets no other group have
	// one later.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9A-Za-z][A-Za-z0-9_-]*$')",message="managedNodeGroup.nodeGroupName must be a node group's name"
	NodeGroupName string `json:"nodeGroupName"`

	// force replaces nodes also when a disruption budget keeps their pods from being evicted. By default the update fails
	// then, and the group returns to what it was.
	// +optional
	Force bool `json:"force,omitempty"`

	// device is the block device that holds the images.
	// +required
	Device Device `json:"device"`
}

// LaunchTemplateTarget is one device of an EC2 launch template. Larder publishes a new version of it for each snapshot.
//
// +kubebuilder:validation:XValidation:rule="has(self.id) != has(self.name)",message="target.launchTemplate takes exactly one of id and name"
// +kubebuilder:validation:XValidation:rule="has(self.id) == has(oldSelf.id) && (!has(self.id) || self.id == oldSelf.id) && (!has(self.name) || self.name == oldSelf.name)",message="target.launchTemplate cannot name another template: delete the binding (which restores the template) and create one for the other"
// +kubebuilder:validation:XValidation:rule="self.device.name == oldSelf.device.name",message="device.name cannot be changed: delete the binding (which restores the device) and create one for the other device"
type LaunchTemplateTarget struct {
	// id is the launch template's.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^lt-[0-9a-f]{8,17}$')",message="launchTemplate.id must be a launch template's id, for instance lt-0123456789abcdef0"
	ID string `json:"id,omitempty"`

	// name is the launch template's.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9()./_-]{3,}$')",message="launchTemplate.name must be a launch template's name"
	Name string `json:"name,omitempty"`

	// setDefault makes each version that Larder publishes the template's default one.
	// +optional
	SetDefault bool `json:"setDefault,omitempty"`

	// autoScalingGroups are the groups that are to launch with the new version. Groups that launch the latest version, or
	// the default one, do so without being written.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	AutoScalingGroups []AutoScalingGroup `json:"autoScalingGroups,omitempty"`

	// device is the block device that holds the images, or, for hosts of Docker, the files of a snapshot of the format
	// Files.
	// +required
	Device Device `json:"device"`
}

// AutoScalingGroup is a group that launches from the template.
type AutoScalingGroup struct {
	// name is the group's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Name string `json:"name"`

	// instanceRefresh has Auto Scaling replace the group's instances after each change. Left out, only new instances boot
	// with the new version.
	// +optional
	InstanceRefresh *InstanceRefresh `json:"instanceRefresh,omitempty"`
}

// InstanceRefresh are preferences of an Auto Scaling instance refresh. What is left out is Auto Scaling's own default.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minHealthyPercentage) || !has(self.maxHealthyPercentage) || self.maxHealthyPercentage >= self.minHealthyPercentage && self.maxHealthyPercentage - self.minHealthyPercentage <= 100",message="instanceRefresh.maxHealthyPercentage must be from minHealthyPercentage to 100 above it"
// +kubebuilder:validation:XValidation:rule="!has(self.maxHealthyPercentage) || has(self.minHealthyPercentage)",message="instanceRefresh.maxHealthyPercentage needs minHealthyPercentage"
// +kubebuilder:validation:XValidation:rule="!has(self.checkpointDelay) || has(self.checkpointPercentages)",message="instanceRefresh.checkpointDelay needs checkpointPercentages"
type InstanceRefresh struct {
	// minHealthyPercentage of the group's desired capacity stays in service, from 0 to 100.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MinHealthyPercentage *int32 `json:"minHealthyPercentage,omitempty"`

	// maxHealthyPercentage of the desired capacity may be in service, from 100 to 200.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=200
	MaxHealthyPercentage *int32 `json:"maxHealthyPercentage,omitempty"`

	// skipMatching leaves instances alone that were launched with the new version already; true by default.
	// +optional
	// +kubebuilder:default=true
	SkipMatching *bool `json:"skipMatching,omitempty"`

	// checkpointPercentages are the parts of the group, in rising order, after which the refresh pauses.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=100
	CheckpointPercentages []int32 `json:"checkpointPercentages,omitempty"`

	// checkpointDelay is how long it pauses, from 0s to 48h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('48h')",message="instanceRefresh.checkpointDelay must be from 0s to 48h"
	CheckpointDelay *metav1.Duration `json:"checkpointDelay,omitempty"`

	// instanceWarmup is how long a new instance takes until it counts, from 0s to 24h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="instanceRefresh.instanceWarmup must be from 0s to 24h"
	InstanceWarmup *metav1.Duration `json:"instanceWarmup,omitempty"`

	// bakeTime is how long the refresh waits at its end, during which it can still be rolled back, from 0s to 48h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('48h')",message="instanceRefresh.bakeTime must be from 0s to 48h"
	BakeTime *metav1.Duration `json:"bakeTime,omitempty"`

	// autoRollback has Auto Scaling itself go back when the refresh fails. It needs a group that names its version by a
	// number.
	// +optional
	AutoRollback bool `json:"autoRollback,omitempty"`
}

// BatchComputeEnvironmentTarget is one device of a compute environment of AWS Batch. Batch replaces all its instances at
// each change.
//
// +kubebuilder:validation:XValidation:rule="self.name == oldSelf.name",message="target.batchComputeEnvironment cannot name another environment: delete the binding (which restores the environment) and create one for the other"
// +kubebuilder:validation:XValidation:rule="self.device.name == oldSelf.device.name",message="device.name cannot be changed: delete the binding (which restores the device) and create one for the other device"
type BatchComputeEnvironmentTarget struct {
	// name is the compute environment's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9A-Za-z][A-Za-z0-9_-]*$')",message="batchComputeEnvironment.name must be a compute environment's name"
	Name string `json:"name"`

	// device is the block device that holds the images, or the files of a snapshot of the format Files.
	// +required
	Device Device `json:"device"`
}

// ECSServiceTarget is a volume of an ECS service's tasks, made from a snapshot of the format Files. The task definition
// must have a volume of that name that is configured at launch.
//
// +kubebuilder:validation:XValidation:rule="self.cluster == oldSelf.cluster && self.service == oldSelf.service && self.volumeName == oldSelf.volumeName",message="target.ecsService cannot name another service or volume: delete the binding (which restores the volume) and create one for the other"
// +kubebuilder:validation:XValidation:rule="!has(self.throughput) || !has(self.volumeType) || self.volumeType == 'gp3'",message="ecsService.throughput is for gp3 volumes: leave it out, or set ecsService.volumeType to gp3"
// +kubebuilder:validation:XValidation:rule="!has(self.volumeType) || self.volumeType == 'gp3' || has(self.iops)",message="io1 and io2 volumes need ecsService.iops"
type ECSServiceTarget struct {
	// cluster is the ECS cluster's name, in the operator's account and Region.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="ecsService.cluster must be an ECS cluster's name"
	Cluster string `json:"cluster"`

	// service is the service's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="ecsService.service must be an ECS service's name"
	Service string `json:"service"`

	// volumeName is the volume's, as the task definition has it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="ecsService.volumeName must be a volume's name in the task definition"
	VolumeName string `json:"volumeName"`

	// roleARN is the ECS infrastructure role that makes the volumes. Left out, the one stays that the service has.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$')",message="ecsService.roleARN must be the ARN of an IAM role"
	RoleARN string `json:"roleARN,omitempty"`

	// filesystemType is the snapshot's. Larder makes ext4.
	// +optional
	// +kubebuilder:default=ext4
	// +kubebuilder:validation:Enum=ext3;ext4;xfs
	FilesystemType string `json:"filesystemType,omitempty"`

	// volumeSize of the tasks' volume. It cannot be below the snapshot's: left out, it is the larger of what the service
	// has and the snapshot's size.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1Gi')) >= 0 && quantity(string(self)).compareTo(quantity('64Ti')) <= 0",message="ecsService.volumeSize must be from 1Gi to 64Ti"
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`

	// volumeType is the EBS volume type; magnetic volumes cannot be made from a snapshot here. Left out, the one stays that
	// the service has.
	// +optional
	// +kubebuilder:validation:Enum=gp3;io1;io2
	VolumeType string `json:"volumeType,omitempty"`

	// iops are the provisioned I/O operations a second.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=256000
	IOPS *int32 `json:"iops,omitempty"`

	// throughput is in MiB a second, for gp3.
	// +optional
	// +kubebuilder:validation:Minimum=125
	// +kubebuilder:validation:Maximum=2000
	Throughput *int32 `json:"throughput,omitempty"`

	// volumeInitializationRate is in MiB a second: how fast EBS loads the volume from the snapshot after it was made.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=300
	VolumeInitializationRate *int32 `json:"volumeInitializationRate,omitempty"`
}

// VolumeSnapshotTarget is a pre-provisioned CSI VolumeSnapshot that Larder makes, and makes anew for each snapshot. New
// claims name it as their dataSource.
//
// +kubebuilder:validation:XValidation:rule="self.__namespace__ == oldSelf.__namespace__ && self.name == oldSelf.name",message="target.volumeSnapshot cannot name another VolumeSnapshot: delete the binding (which removes it) and create one for the other"
type VolumeSnapshotTarget struct {
	// namespace is the VolumeSnapshot's, where the claims are.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name is the VolumeSnapshot's. None of that name may exist yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// snapshotClassName is the VolumeSnapshotClass that the VolumeSnapshot names; none by default, which a pre-provisioned one
	// does not need.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SnapshotClassName string `json:"snapshotClassName,omitempty"`
}
