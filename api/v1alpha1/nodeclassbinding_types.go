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

// AnnotationApplyNow on a NodeClassBinding asks to write what is pending now, whatever the rollout strategy, its window and
// its minInterval say, and to forget what failed before. Any new value is a new request; rollout.paused still holds.
const AnnotationApplyNow = "larder.dev/apply-now"

// AnnotationDerivedFrom marks an EC2NodeClass that Larder made from another, and names that one.
const AnnotationDerivedFrom = "larder.dev/derived-from"

// AnnotationRendered says, on an EC2NodeClass that Larder made from another, what was last written to it: JSON with a hash
// of the spec, the snapshot, the device, and that device as the other class had it.
const AnnotationRendered = "larder.dev/rendered"

// LabelBinding on an EC2NodeClass that Larder made names the NodeClassBinding that it belongs to by its UID.
const LabelBinding = "larder.dev/binding-uid"

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
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.*['name','id','nodeGroupName','service']`,priority=1
// +kubebuilder:printcolumn:name="Device",type=string,JSONPath=`.spec.target.*.device.name`,priority=1
// +kubebuilder:printcolumn:name="Strategy",type=string,JSONPath=`.spec.rollout.strategy`,priority=1
// +kubebuilder:printcolumn:name="Pending",type=string,JSONPath=`.status.pending.snapshotID`,priority=1
// +kubebuilder:printcolumn:name="Outdated",type=integer,JSONPath=`.status.nodes.outdated`,priority=1
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
//
// +kubebuilder:validation:XValidation:rule="!(has(self.target.managedNodeGroup) || has(self.target.batchComputeEnvironment) || has(self.target.ecsService)) || self.rollout.strategy == 'Roll'",message="rollout.strategy must be Roll for managedNodeGroup, batchComputeEnvironment and ecsService: AWS replaces all their nodes or tasks at a change; rollout.window says when it may"
// +kubebuilder:validation:XValidation:rule="self.rollout.strategy != 'NewNodesOnly' || !has(self.target.launchTemplate) || !has(self.target.launchTemplate.autoScalingGroups) || !self.target.launchTemplate.autoScalingGroups.exists(g, has(g.instanceRefresh))",message="an instanceRefresh replaces instances, which rollout.strategy NewNodesOnly forbids: leave instanceRefresh out, or choose Roll"
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

	// deletionPolicy says what becomes of the target when this binding is deleted: Restore makes the device what it was
	// before, under the same rollout strategy; Leave leaves it as it is.
	// +optional
	// +kubebuilder:default=Restore
	DeletionPolicy BindingDeletionPolicy `json:"deletionPolicy,omitempty"`
}

// BindingDeletionPolicy says what becomes of the target of a binding that is deleted.
//
// +kubebuilder:validation:Enum=Restore;Leave
type BindingDeletionPolicy string

// Deletion policies of bindings.
const (
	// BindingDeletionRestore makes the device what it was before the binding; a derived class is deleted.
	BindingDeletionRestore BindingDeletionPolicy = "Restore"
	// BindingDeletionLeave leaves the device, or the derived class, to the user.
	BindingDeletionLeave BindingDeletionPolicy = "Leave"
)

// SnapshotSource names a snapshot in one of three ways.
//
// +kubebuilder:validation:XValidation:rule="[has(self.ref), has(self.ssmParameter), has(self.id)].filter(x, x).size() == 1",message="snapshot takes exactly one of ref, ssmParameter and id"
type SnapshotSource struct {
	// ref names an ImageCacheSnapshot of this cluster.
	// +optional
	Ref *SnapshotReference `json:"ref,omitempty"`

	// ssmParameter names a parameter of SSM's Parameter Store, in the operator's Region, whose value is a snapshot's id: one
	// that another cluster or a pipeline publishes.
	// +optional
	// +kubebuilder:validation:MaxLength=1011
	// +kubebuilder:validation:XValidation:rule="self.matches('^/?[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+)*$')",message="snapshot.ssmParameter must be a parameter's name, for instance /larder/inference"
	SSMParameter string `json:"ssmParameter,omitempty"`

	// id is a snapshot's own, in the operator's Region.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^snap-([0-9a-f]{8}|[0-9a-f]{17})$')",message="snapshot.id must be a snapshot's id, for instance snap-0123456789abcdef0"
	ID string `json:"id,omitempty"`

	// interval is how often the parameter, and the snapshot itself, are looked at again, from 1m to 168h.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="snapshot.interval must be from 1m to 168h"
	Interval metav1.Duration `json:"interval,omitzero"`
}

// SnapshotReference names an ImageCacheSnapshot.
type SnapshotReference struct {
	// name is the ImageCacheSnapshot's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Target is what launches nodes, runs tasks or makes volumes.
//
// +kubebuilder:validation:XValidation:rule="[has(self.ec2NodeClass), has(self.managedNodeGroup), has(self.launchTemplate), has(self.batchComputeEnvironment), has(self.ecsService), has(self.volumeSnapshot)].filter(x, x).size() == 1",message="target takes exactly one of ec2NodeClass, managedNodeGroup, launchTemplate, batchComputeEnvironment, ecsService and volumeSnapshot"
// +kubebuilder:validation:XValidation:rule="has(self.ec2NodeClass) == has(oldSelf.ec2NodeClass) && has(self.managedNodeGroup) == has(oldSelf.managedNodeGroup) && has(self.launchTemplate) == has(oldSelf.launchTemplate) && has(self.batchComputeEnvironment) == has(oldSelf.batchComputeEnvironment) && has(self.ecsService) == has(oldSelf.ecsService)",message="the kind of target cannot be changed: delete the binding (which restores the target) and create one for the other"
type Target struct {
	// ec2NodeClass is a Karpenter EC2NodeClass.
	// +optional
	EC2NodeClass *EC2NodeClassTarget `json:"ec2NodeClass,omitempty"`

	// managedNodeGroup is an EKS managed node group that was created with a launch template.
	// +optional
	ManagedNodeGroup *ManagedNodeGroupTarget `json:"managedNodeGroup,omitempty"`

	// launchTemplate is an EC2 launch template, with the Auto Scaling groups that launch from it.
	// +optional
	LaunchTemplate *LaunchTemplateTarget `json:"launchTemplate,omitempty"`

	// batchComputeEnvironment is a managed EC2 compute environment of AWS Batch that has a launch template.
	// +optional
	BatchComputeEnvironment *BatchComputeEnvironmentTarget `json:"batchComputeEnvironment,omitempty"`

	// ecsService is a volume of an Amazon ECS service's tasks.
	// +optional
	ECSService *ECSServiceTarget `json:"ecsService,omitempty"`

	// volumeSnapshot is a CSI VolumeSnapshot that claims of pods are made from.
	// +optional
	VolumeSnapshot *VolumeSnapshotTarget `json:"volumeSnapshot,omitempty"`
}

// EC2NodeClassTarget is one device of a Karpenter EC2NodeClass.
//
// +kubebuilder:validation:XValidation:rule="self.name == oldSelf.name",message="target.ec2NodeClass.name cannot be changed: delete the binding (which restores the class) and create one for the other class"
// +kubebuilder:validation:XValidation:rule="self.device.name == oldSelf.device.name",message="device.name cannot be changed: delete the binding (which restores the device) and create one for the other device"
// +kubebuilder:validation:XValidation:rule="has(self.derive) == has(oldSelf.derive) && (!has(self.derive) || self.derive.name == oldSelf.derive.name)",message="target.ec2NodeClass.derive cannot be added, removed or renamed: delete the binding and create one with the other target"
// +kubebuilder:validation:XValidation:rule="!has(self.derive) || self.derive.name != self.name",message="target.ec2NodeClass.derive.name must not be the name of the class itself: leave derive out to have that one changed"
type EC2NodeClassTarget struct {
	// name is the EC2NodeClass's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// derive has Larder own a second class, equal to this one but for the device, and leave this one alone: for a class
	// that Git owns. NodePools choose the second by its name.
	// +optional
	Derive *DerivedNodeClass `json:"derive,omitempty"`

	// device is the block device that holds the images.
	// +required
	Device Device `json:"device"`
}

// DerivedNodeClass is an EC2NodeClass that Larder makes from another.
type DerivedNodeClass struct {
	// name is the derived EC2NodeClass's. None of that name may exist yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
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
	// largest of what the class has, 20 GiB, the snapshot's size, and its contents divided by 0.6: kubelet cannot collect
	// them, and the rest is for what else nodes pull.
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

	// volumeInitializationRate is in MiB a second: how fast EBS loads the volume from the snapshot after it was made. It is
	// billed by the GiB, and a Region's quota of 5,000 MiB/s limits how many nodes can start at a time. Karpenter takes it
	// from version 1.5 on.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=300
	VolumeInitializationRate *int64 `json:"volumeInitializationRate,omitempty"`
}

// RolloutStrategy says when a snapshot may be written to a target.
//
// +kubebuilder:validation:Enum=WithNextDrift;NewNodesOnly;Roll
type RolloutStrategy string

// Rollout strategies.
const (
	// RolloutWithNextDrift writes when all nodes of the target are being replaced anyway, or when there are none; and when
	// the window opens.
	RolloutWithNextDrift RolloutStrategy = "WithNextDrift"
	// RolloutNewNodesOnly writes only while no node would be replaced: the class has no NodeClaims but in NodePools that
	// hold drift at zero.
	RolloutNewNodesOnly RolloutStrategy = "NewNodesOnly"
	// RolloutRoll writes at once; Karpenter then replaces the nodes as drifted, at the pace of the disruption
	// budgets of their pools.
	RolloutRoll RolloutStrategy = "Roll"
)

// Rollout says when a snapshot may be written to a target.
type Rollout struct {
	// strategy is WithNextDrift, NewNodesOnly or Roll. It has no default: a changed snapshot makes Karpenter replace every
	// node of the class, and whether it may is for you to say.
	// +required
	Strategy RolloutStrategy `json:"strategy"`

	// paused keeps Larder from writing the target at all, to roll back and to restore it included.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// window is when nodes may be replaced. With Roll and NewNodesOnly nothing is written outside of it; with WithNextDrift
	// what waits for drift is written when it opens.
	// +optional
	Window *RolloutWindow `json:"window,omitempty"`

	// minInterval is the least time between two snapshots that are written, from 1m to 8760h. To roll back never waits for it.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="rollout.minInterval must be from 1m to 8760h"
	MinInterval *metav1.Duration `json:"minInterval,omitempty"`

	// rollback says when a snapshot counts as bad.
	// +optional
	// +kubebuilder:default={}
	Rollback Rollback `json:"rollback,omitzero"`
}

// RolloutWindow is a recurring time.
type RolloutWindow struct {
	// schedule is when the window opens: five fields as in a CronJob, or @daily, @weekly and the like.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^(@(annually|yearly|monthly|weekly|daily|midnight|hourly)|[^ ]+( +[^ ]+){4})$')",message="window.schedule must have five fields: minute, hour, day of the month, month, day of the week"
	Schedule string `json:"schedule"`

	// duration is how long it stays open, from 1m to 168h.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="window.duration must be from 1m to 168h"
	Duration metav1.Duration `json:"duration"`

	// timeZone is a name of the IANA time zone database, for instance Europe/Berlin.
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}

// Rollback says when a snapshot counts as bad, so that the one before comes back.
type Rollback struct {
	// after is how long a node may take from its launch until it is Ready, and how long a snapshot is on trial once nodes
	// are Ready with it, from 1m to 24h; 0s never rolls back.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) == duration('0s') || duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="rollback.after must be from 1m to 24h, or 0s to never roll back"
	After *metav1.Duration `json:"after,omitempty"`
}
