package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImageCacheSnapshot is a recipe for an EBS snapshot that holds container images, unpacked and ready to run.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ics,categories=larder
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Snapshot",type=string,JSONPath=`.status.snapshotID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Progress",type=integer,JSONPath=`.status.build.progress`,priority=1
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.status.revision`,priority=1
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.status.volumeSize`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type ImageCacheSnapshot struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what to cache.
	// +required
	Spec ImageCacheSnapshotSpec `json:"spec"`
	// status says what is cached, and where.
	// +optional
	Status ImageCacheSnapshotStatus `json:"status,omitzero"`
}

// ImageCacheSnapshotList is a list of ImageCacheSnapshots.
//
// +kubebuilder:object:root=true
type ImageCacheSnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ImageCacheSnapshot `json:"items"`
}

// ImageCacheSnapshotSpec says what to cache.
//
// +kubebuilder:validation:XValidation:rule="!has(self.format) || self.format != 'Files' || !has(self.platforms) || size(self.platforms) == 1",message="format Files takes one platform, since plain files are those of one: leave one in platforms, and make an ImageCacheSnapshot for each other"
type ImageCacheSnapshotSpec struct {
	// images are the images to keep on the volume. A pod finds an image only under the name it is listed by
	// here (or by its digest), so list it as pods name it.
	// +required
	// +listType=map
	// +listMapKey=image
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	Images []CachedImage `json:"images"`

	// platforms are the operating systems and architectures to keep of each image; several share one volume.
	// An image that lacks one of several is cached for those it has.
	// +optional
	// +listType=set
	// +kubebuilder:default={"linux/amd64"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Platforms []Platform `json:"platforms,omitempty"`

	// format is what the volume is for: Bottlerocket is the data volume of Bottlerocket nodes; Containerd is one
	// filesystem to mount as containerd's root directory, as on AL2023; Files is one filesystem with the images' files
	// as a container sees them, for ECS volumes and persistent ones: at its root for one image, else below the
	// repository and the tag of each.
	// +optional
	// +kubebuilder:default=Bottlerocket
	Format Format `json:"format,omitempty"`

	// volumeSize is the size of the volume, in whole GiB from 2Gi to 2000Gi. Left out, it is computed from the
	// images: their contents and 25 %, in steps of 8 GiB.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('2Gi')) >= 0 && quantity(string(self)).compareTo(quantity('2000Gi')) <= 0",message="volumeSize must be from 2Gi to 2000Gi: give another size, or leave it out to have it computed"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isInteger() && quantity(string(self)).asInteger() % 1073741824 == 0",message="volumeSize must be whole GiB, because EBS sizes are: write for instance 20Gi"
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`
}

// CachedImage is one image to keep.
type CachedImage struct {
	// image is a reference as a pod would write it: by tag or by digest, on Docker Hub when it names no host.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.matches('\\\\s')",message="image must not contain white space: write it as in a pod, for instance public.ecr.aws/nginx/nginx:1.29"
	// +kubebuilder:validation:XValidation:rule="!self.contains('://')",message="image must not begin with a scheme: leave out https://"
	Image string `json:"image"`
}

// Platform is an operating system and an architecture, as in an OCI index.
//
// +kubebuilder:validation:Enum=linux/amd64;linux/arm64
type Platform string

// Format is the layout of a volume.
//
// +kubebuilder:validation:Enum=Bottlerocket;Containerd;Files
type Format string

// Formats of volumes.
const (
	// FormatBottlerocket is the data volume of a Bottlerocket node: a GPT disk whose only partition is an ext4
	// filesystem with containerd's root directory in it.
	FormatBottlerocket Format = "Bottlerocket"
	// FormatContainerd is an ext4 filesystem without a partition table, whose root is containerd's root directory.
	FormatContainerd Format = "Containerd"
	// FormatFiles is an ext4 filesystem without a partition table that holds the images' files, merged.
	FormatFiles Format = "Files"
)

// ImageCacheSnapshotStatus says what is cached, and where.
type ImageCacheSnapshotStatus struct {
	// conditions are Ready, ImagesResolved, Built and SnapshotReady; and Reconciling or Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// region is the AWS Region that holds the snapshot.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Region string `json:"region,omitempty"`

	// snapshotID is the completed EBS snapshot of the current revision.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SnapshotID string `json:"snapshotID,omitempty"`

	// revision counts the snapshots made for this object, from 1.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// contentHash identifies what the snapshot holds: image digests, platforms, format and size.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ContentHash string `json:"contentHash,omitempty"`

	// format is that of the snapshot's volume.
	// +optional
	Format Format `json:"format,omitempty"`

	// volumeSize is the size of the snapshot's volume; a volume made from it cannot be smaller.
	// +optional
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`

	// images are those of the current revision.
	// +optional
	// +listType=map
	// +listMapKey=image
	// +kubebuilder:validation:MaxItems=100
	Images []ImageStatus `json:"images,omitempty"`

	// build is the build in progress, or the last attempt of one that did not succeed.
	// +optional
	Build *BuildStatus `json:"build,omitempty"`
}

// ImageStatus is one image as it is on the volume.
type ImageStatus struct {
	// image is the reference from the spec.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image"`

	// digest is what the reference pointed at when it was resolved: an index's or a manifest's.
	// +required
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest"`

	// platforms are those that the volume holds of this image.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	Platforms []string `json:"platforms,omitempty"`

	// size is the sum of the compressed layers of those platforms.
	// +optional
	Size *resource.Quantity `json:"size,omitempty"`
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

	// snapshotID is the snapshot being written.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SnapshotID string `json:"snapshotID,omitempty"`

	// volumeSize is the size of the volume being written.
	// +optional
	VolumeSize *resource.Quantity `json:"volumeSize,omitempty"`

	// images are those being written.
	// +optional
	// +listType=map
	// +listMapKey=image
	// +kubebuilder:validation:MaxItems=100
	Images []ImageStatus `json:"images,omitempty"`

	// startTime is when the attempt began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// message says why the attempt failed.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
