package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageCacheSnapshotStatus says what is cached, and where.
type ImageCacheSnapshotStatus struct {
	// conditions are Ready, ImagesResolved, Built and SnapshotReady; CopiesReady, Shared, FastSnapshotRestoreReady and
	// Published where the spec asks for it; and Reconciling or Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// lastHandledReconcileAt is the value of the annotation larder.dev/reconcile-requested-at that was last acted on.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// region is the AWS Region that holds the snapshot.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Region string `json:"region,omitempty"`

	// snapshotID is the completed EBS snapshot of the current revision.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SnapshotID string `json:"snapshotID,omitempty"`

	// revision is the number of the current revision. Each snapshot made for this object has its own, from 1.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// latestRevision is the highest number that a revision ever had. None is given twice, also when its snapshot is gone.
	// +optional
	LatestRevision int64 `json:"latestRevision,omitempty"`

	// contentHash identifies what the snapshot holds: image digests, platforms, format, size and KMS key.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ContentHash string `json:"contentHash,omitempty"`

	// recipeHash identifies the part of the spec that the snapshot was made by. While it is that of the spec, the
	// snapshot serves the spec, even when a tag has moved since.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RecipeHash string `json:"recipeHash,omitempty"`

	// format is that of the snapshot's volume.
	// +optional
	Format Format `json:"format,omitempty"`

	// volumeSize is the size of the snapshot's volume; a volume made from it cannot be smaller.
	// +optional
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`

	// images are those of the current revision. Those of an older one are in its snapshot: see larder inspect.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Images []ImageStatus `json:"images,omitempty"`

	// revisions are the snapshots that there are, the newest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Revisions []RevisionStatus `json:"revisions,omitempty"`

	// copies are those of the current revision in other Regions.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Copies []CopyStatus `json:"copies,omitempty"`

	// fastSnapshotRestore is the state of the current revision in each zone.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	FastSnapshotRestore []FastSnapshotRestoreStatus `json:"fastSnapshotRestore,omitempty"`

	// build is the build in progress, or the last attempt of one that did not succeed.
	// +optional
	Build *BuildStatus `json:"build,omitempty"`
}

// ImageStatus is one image as it is on the volume.
type ImageStatus struct {
	// image is the reference from the spec, or the image's full name when the spec does not have it.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image"`

	// tag is the one that a tagPolicy chose.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`

	// digest is what the reference pointed at when it was resolved: an index's or a manifest's.
	// +required
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest"`

	// platforms are those that the volume holds of this image.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	Platforms []string `json:"platforms,omitempty"`

	// size is the sum of the compressed layers of those platforms.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
}

// RevisionState is what a revision is to its object.
//
// +kubebuilder:validation:Enum=Current;Superseded
type RevisionState string

// States of a revision.
const (
	// RevisionCurrent is the revision whose snapshot is in status.snapshotID.
	RevisionCurrent RevisionState = "Current"
	// RevisionSuperseded has a snapshot that can be rolled back to.
	RevisionSuperseded RevisionState = "Superseded"
)

// Trigger is why a revision was made.
//
// +kubebuilder:validation:Enum=Created;SpecChanged;ImagesChanged;SnapshotLost
type Trigger string

// Triggers of revisions.
const (
	// TriggerCreated is the first revision's.
	TriggerCreated Trigger = "Created"
	// TriggerSpecChanged means that the spec asked for something else.
	TriggerSpecChanged Trigger = "SpecChanged"
	// TriggerImagesChanged means that a tag moved, or that a tagPolicy chose another.
	TriggerImagesChanged Trigger = "ImagesChanged"
	// TriggerSnapshotLost means that the snapshot had been deleted by someone else.
	TriggerSnapshotLost Trigger = "SnapshotLost"
)

// Transfer is what a build moved, in bytes; unknown when the operator was restarted before it could write it down.
type Transfer struct {
	// storedBytes are in use on the volume.
	// +optional
	StoredBytes int64 `json:"storedBytes,omitempty"`

	// fetchedBytes of compressed layers were downloaded.
	// +optional
	FetchedBytes int64 `json:"fetchedBytes,omitempty"`

	// writtenBytes were sent to EBS.
	// +optional
	WrittenBytes int64 `json:"writtenBytes,omitempty"`
}

// RevisionStatus is one snapshot that was made for the object.
type RevisionStatus struct {
	// number is the revision's.
	// +required
	Number int64 `json:"number"`

	// contentHash identifies what it holds.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ContentHash string `json:"contentHash,omitempty"`

	// snapshotID is its EBS snapshot.
	// +required
	// +kubebuilder:validation:MaxLength=64
	SnapshotID string `json:"snapshotID"`

	// state tells whether it is the current one.
	// +required
	State RevisionState `json:"state"`

	// volumeSize is the size of its volume.
	// +optional
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`

	Transfer `json:",inline"`

	// startTime is when its build began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime is when it was seen to be completed.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// supersededTime is when another revision took its place.
	// +optional
	SupersededTime *metav1.Time `json:"supersededTime,omitempty"`

	// trigger is why it was made.
	// +optional
	Trigger Trigger `json:"trigger,omitempty"`
}

// CopyState is how far a copy has come.
//
// +kubebuilder:validation:Enum=Starting;Pending;Completed;Failed
type CopyState string

// States of a copy.
const (
	// CopyStarting is recorded before AWS is asked for the copy.
	CopyStarting CopyState = "Starting"
	// CopyPending means that AWS is copying.
	CopyPending CopyState = "Pending"
	// CopyCompleted means that volumes can be made of it.
	CopyCompleted CopyState = "Completed"
	// CopyFailed means that there is no copy, and message says why.
	CopyFailed CopyState = "Failed"
)

// CopyStatus is the current revision's copy in one Region.
type CopyStatus struct {
	// region is the copy's.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Region string `json:"region"`

	// revision is the one that is copied.
	// +required
	Revision int64 `json:"revision"`

	// snapshotID is the copy's own.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SnapshotID string `json:"snapshotID,omitempty"`

	// state is how far it has come.
	// +required
	State CopyState `json:"state"`

	// time is when the state was reached.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`

	// message says why it failed.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// FastSnapshotRestoreStatus is the state of fast snapshot restore in one zone.
type FastSnapshotRestoreStatus struct {
	// availabilityZone is the zone's name.
	// +required
	// +kubebuilder:validation:MaxLength=64
	AvailabilityZone string `json:"availabilityZone"`

	// state is as AWS says it: enabling, optimizing, enabled, disabling or disabled.
	// +required
	// +kubebuilder:validation:MaxLength=32
	State string `json:"state"`
}

// BuildStep is how far a build has come.
//
// +kubebuilder:validation:Enum=Starting;Writing;Completing;Failed
type BuildStep string

// Steps of a build, in order; Failed ends an attempt.
const (
	// BuildStarting is recorded before anything is created in AWS.
	BuildStarting BuildStep = "Starting"
	// BuildWriting means that blocks are being sent.
	BuildWriting BuildStep = "Writing"
	// BuildCompleting means that every block was sent and EBS is completing the snapshot.
	BuildCompleting BuildStep = "Completing"
	// BuildFailed means that this attempt ended without a snapshot.
	BuildFailed BuildStep = "Failed"
)

// BuildStatus is one attempt to build a revision.
type BuildStatus struct {
	// revision is the one being built.
	// +required
	Revision int64 `json:"revision"`

	// contentHash identifies what is being built.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ContentHash string `json:"contentHash"`

	// recipeHash identifies the part of the spec that it is built by.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RecipeHash string `json:"recipeHash,omitempty"`

	// trigger is why it is built.
	// +optional
	Trigger Trigger `json:"trigger,omitempty"`

	// attempt counts the attempts for this revision, from 1.
	// +required
	Attempt int64 `json:"attempt"`

	// step is how far the attempt has come.
	// +required
	Step BuildStep `json:"step"`

	// progress is the part of the layers' compressed bytes that was read, in percent.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Progress int32 `json:"progress"`

	// parentSnapshotID is the snapshot that is built upon.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ParentSnapshotID string `json:"parentSnapshotID,omitempty"`

	// snapshotID is the snapshot being written.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SnapshotID string `json:"snapshotID,omitempty"`

	// volumeSize is the size of the volume being written.
	// +optional
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`

	Transfer `json:",inline"`

	// startTime is when the attempt began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// failures counts the attempts that failed since the last one that did not, at the same contents.
	// +optional
	Failures int32 `json:"failures,omitempty"`

	// errors are those of the last failed attempts, the newest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=3
	Errors []AttemptError `json:"errors,omitempty"`
}

// AttemptError is why an attempt failed.
type AttemptError struct {
	// attempt is the attempt's number.
	// +required
	Attempt int64 `json:"attempt"`

	// time is when it failed.
	// +required
	Time metav1.Time `json:"time"`

	// reason is the one that the condition Built had.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`

	// message says what happened and what to do.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message"`
}
