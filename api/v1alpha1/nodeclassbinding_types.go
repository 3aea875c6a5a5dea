package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationOriginalDevice keeps, on a target, the device as it was before a binding wrote it: JSON that maps
// the device's name to its former mapping, or to null where there was none.
const AnnotationOriginalDevice = "larder.dev/original-device"

// AnnotationAppliedSnapshots says, on a target, which snapshot Larder last wrote to which device: JSON that maps the
// device's name to the snapshot's id. It is written together with the device, so it cannot fall behind.
const AnnotationAppliedSnapshots = "larder.dev/applied-snapshots"

// NodeClassBinding makes the nodes of one target boot with a snapshot. Creating it is the consent to write
// the target's device.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ncb,categories=larder
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Snapshot",type=string,JSONPath=`.status.appliedSnapshotID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="NodeClass",type=string,JSONPath=`.spec.target.ec2NodeClass.name`,priority=1
// +kubebuilder:printcolumn:name="Device",type=string,JSONPath=`.spec.target.ec2NodeClass.device.name`,priority=1
// +kubebuilder:printcolumn:name="Strategy",type=string,JSONPath=`.spec.rollout.strategy`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type NodeClassBinding struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which nodes boot from which snapshot.
	// +required
	Spec NodeClassBindingSpec `json:"spec"`
	// status says what was written.
	// +optional
	Status NodeClassBindingStatus `json:"status,omitzero"`
}

// NodeClassBindingList is a list of NodeClassBindings.
//
// +kubebuilder:object:root=true
type NodeClassBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeClassBinding `json:"items"`
}

// NodeClassBindingSpec says which nodes boot from which snapshot.
type NodeClassBindingSpec struct {
	// snapshot is what the nodes boot with.
	// +required
	Snapshot SnapshotSource `json:"snapshot"`

	// target is what launches the nodes.
	// +required
	Target Target `json:"target"`

	// rollout says when a new snapshot may be written to the target.
	// +required
	Rollout Rollout `json:"rollout"`
}

// SnapshotSource names a snapshot.
type SnapshotSource struct {
	// ref names an ImageCacheSnapshot of this cluster.
	// +required
	Ref SnapshotReference `json:"ref"`
}

// SnapshotReference names an ImageCacheSnapshot.
type SnapshotReference struct {
	// name is the ImageCacheSnapshot's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Target is what launches nodes.
type Target struct {
	// ec2NodeClass is a Karpenter EC2NodeClass.
	// +required
	EC2NodeClass EC2NodeClassTarget `json:"ec2NodeClass"`
}

// EC2NodeClassTarget is one device of a Karpenter EC2NodeClass.
//
// +kubebuilder:validation:XValidation:rule="self.name == oldSelf.name",message="target.ec2NodeClass.name cannot be changed: delete the binding (which restores the class) and create one for the other class"
// +kubebuilder:validation:XValidation:rule="self.device.name == oldSelf.device.name",message="device.name cannot be changed: delete the binding (which restores the device) and create one for the other device"
type EC2NodeClassTarget struct {
	// name is the EC2NodeClass's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// device is the block device that holds the images.
	// +required
	Device Device `json:"device"`
}

// Device is a block device of a node. What is left out stays as the class has it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.throughput) || !has(self.volumeType) || self.volumeType == 'gp3'",message="device.throughput is for gp3 volumes: leave it out, or set device.volumeType to gp3"
// +kubebuilder:validation:XValidation:rule="!has(self.iops) || !has(self.volumeType) || self.volumeType != 'gp2'",message="device.iops is for gp3, io1 and io2 volumes: leave it out, or set another device.volumeType"
type Device struct {
	// name is the device's name; Bottlerocket's data volume is /dev/xvdb.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^/dev/(sd[a-z]|xvd[a-z]{1,2})$')",message="device.name must be a device name as EC2 takes it, for instance /dev/xvdb"
	Name string `json:"name"`

	// volumeSize is the size of the nodes' volume. It cannot be below the snapshot's. Left out, it is the
	// largest of what the class has, 20 GiB, and the snapshot's size.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1Gi')) >= 0 && quantity(string(self)).compareTo(quantity('59000Gi')) <= 0",message="device.volumeSize must be from 1Gi to 59000Gi, the largest that an EC2NodeClass takes"
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`

	// volumeType is the EBS volume type; gp3 for a device that the class does not have yet.
	// +optional
	// +kubebuilder:validation:Enum=gp3;gp2;io1;io2
	VolumeType string `json:"volumeType,omitempty"`

	// iops are the provisioned I/O operations a second, for gp3, io1 and io2.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=256000
	IOPS *int64 `json:"iops,omitempty"`

	// throughput is in MiB a second, for gp3. Left out, a gp3 volume gets 500, since its own default of 125
	// reads 8 GiB a minute.
	// +optional
	// +kubebuilder:validation:Minimum=125
	// +kubebuilder:validation:Maximum=2000
	Throughput *int64 `json:"throughput,omitempty"`
}

// RolloutStrategy says when a snapshot may be written to a target.
//
// +kubebuilder:validation:Enum=Roll;NewNodesOnly
type RolloutStrategy string

// Rollout strategies.
const (
	// RolloutRoll writes at once; Karpenter then replaces the nodes as drifted, at the pace of the disruption
	// budgets of their pools.
	RolloutRoll RolloutStrategy = "Roll"
	// RolloutNewNodesOnly writes only while the class has no NodeClaims, so that no node is replaced.
	RolloutNewNodesOnly RolloutStrategy = "NewNodesOnly"
)

// Rollout says when a snapshot may be written to a target.
type Rollout struct {
	// strategy is Roll or NewNodesOnly. It has no default: a changed snapshot makes Karpenter replace every node
	// of the class, and whether it may is for you to say.
	// +required
	Strategy RolloutStrategy `json:"strategy"`
}

// NodeClassBindingStatus says what was written to the target.
type NodeClassBindingStatus struct {
	// conditions are Ready, SnapshotAvailable, PreflightPassed and Applied; and Reconciling or Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// appliedSnapshotID is the snapshot that the target was last made to name.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	AppliedSnapshotID string `json:"appliedSnapshotID,omitempty"`

	// lastKnownGoodSnapshotID is the snapshot that the target named before that one. It is kept as long as the binding
	// names it, so that there is a way back.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastKnownGoodSnapshotID string `json:"lastKnownGoodSnapshotID,omitempty"`

	// rival is who took the device back after it was written, if anyone did.
	// +optional
	Rival *Rival `json:"rival,omitempty"`
}

// Rival is a field manager that reverts the device.
type Rival struct {
	// manager is its field manager's name.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Manager string `json:"manager"`

	// reverts counts how often it reverted the device since the snapshot or the spec last changed.
	// +required
	Reverts int32 `json:"reverts"`

	// time is when the last one was seen.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}
