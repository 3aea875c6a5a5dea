package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationReconcileRequestedAt asks for the references to be resolved now, whenever its value changes; by custom it
// is the time of asking. The value that was last acted on is in status.lastHandledReconcileAt.
const AnnotationReconcileRequestedAt = "larder.dev/reconcile-requested-at"

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
// +kubebuilder:validation:XValidation:rule="!has(self.sharedWith) || !has(self.encryption) || !self.encryption.kmsKeyID.endsWith('alias/aws/ebs')",message="sharedWith needs a KMS key of your own: AWS lets no other account use the default key alias/aws/ebs; give another encryption.kmsKeyID, or leave out sharedWith"
type ImageCacheSnapshotSpec struct {
	// images are the images to keep on the volume. A pod finds an image only under the name it is listed by
	// here (or by its digest), so list it as pods name it. All names together with their tag policies have up to 20000
	// characters, since the API server keeps each several times over.
	// +required
	// +listType=map
	// +listMapKey=image
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule="self.map(one, size(one.image) + (!has(one.tagPolicy) ? 0 : (has(one.tagPolicy.semver) ? size(one.tagPolicy.semver.range) : 0) + (!has(one.tagPolicy.filterTags) ? 0 : size(one.tagPolicy.filterTags.pattern) + (has(one.tagPolicy.filterTags.extract) ? size(one.tagPolicy.filterTags.extract) : 0)))).sum() <= 20000",message="images have more than 20000 characters in their names and tag policies together: divide them among several ImageCacheSnapshots"
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

	// imagePullSecrets name Secrets of the operator's namespace, of the type kubernetes.io/dockerconfigjson or
	// kubernetes.io/dockercfg. Images in Amazon ECR are read with the operator's own AWS identity and need none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=10
	ImagePullSecrets []PullSecretReference `json:"imagePullSecrets,omitempty"`

	// interval is how often tags are resolved again, from 1m to 168h; each time is up to a tenth earlier.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="interval must be from 1m to 168h: registries limit requests, and a build takes minutes"
	Interval metav1.Duration `json:"interval,omitzero"`

	// suspend stops resolving, building and collecting. What there is stays as it is, and deletion goes on.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// revision pins the object to one of status.revisions: its snapshot is in use, and nothing is resolved or built
	// until the pin is removed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision *int64 `json:"revision,omitempty"`

	// encryption says how the snapshot is encrypted. Left out, that is the account's setting for EBS.
	// +optional
	Encryption *Encryption `json:"encryption,omitempty"`

	// copies are made of each revision in other Regions.
	// +optional
	// +listType=map
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=20
	Copies []RegionalCopy `json:"copies,omitempty"`

	// sharedWith are AWS account ids that may make volumes from the snapshot of the current revision, in this Region.
	// An encrypted snapshot also needs its KMS key to be shared, which is for you to do.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	SharedWith []AccountID `json:"sharedWith,omitempty"`

	// fastSnapshotRestore lets volumes of the current revision start without the delay of reading from S3 at first
	// touch. AWS bills it by the hour for each zone, and gives each new snapshot credits that begin at zero.
	// +optional
	FastSnapshotRestore *FastSnapshotRestore `json:"fastSnapshotRestore,omitempty"`

	// publish writes the current snapshot's id where others read it.
	// +optional
	Publish *Publish `json:"publish,omitempty"`

	// revisionHistoryLimit is how many revisions are kept, the current one among them. A revision that something
	// still refers to is kept beyond it.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`

	// deletionPolicy says what becomes of the snapshots when this object is deleted: Delete deletes them, as soon as
	// nobody may use them any more; Retain leaves them, and what was published of them, to you.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// tags are put on the snapshots and copies that are made from now on.
	// +optional
	// +kubebuilder:validation:MaxProperties=30
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('aws:') && !key.startsWith('larder.dev/'))",message="tags must not begin with aws: or larder.dev/, which AWS and Larder keep for themselves"
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) >= 1 && size(key) <= 127)",message="a tag's key has 1 to 127 characters, as AWS wants it"
	Tags map[string]TagValue `json:"tags,omitempty"`
}

// CachedImage is one image to keep.
//
// +kubebuilder:validation:XValidation:rule="!has(self.tagPolicy) || !self.image.matches('@|:[^/]*$')",message="an image with a tagPolicy is a repository, since the policy chooses the tag: leave out the tag and the digest"
type CachedImage struct {
	// image is a reference as a pod would write it: by tag or by digest, on Docker Hub when it names no host. With a
	// tagPolicy it is the repository alone.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.matches('\\\\s')",message="image must not contain white space: write it as in a pod, for instance public.ecr.aws/nginx/nginx:1.29"
	// +kubebuilder:validation:XValidation:rule="!self.contains('://')",message="image must not begin with a scheme: leave out https://"
	Image string `json:"image"`

	// tagPolicy chooses the newest of the repository's tags at each interval.
	// +optional
	TagPolicy *TagPolicy `json:"tagPolicy,omitempty"`
}

// TagPolicy chooses one of a repository's tags, as an ImagePolicy of Flux does.
//
// +kubebuilder:validation:XValidation:rule="[has(self.semver), has(self.alphabetical), has(self.numerical)].exists_one(given, given)",message="a tagPolicy has exactly one of semver, alphabetical and numerical"
type TagPolicy struct {
	// filterTags leaves only some of the tags to choose from.
	// +optional
	FilterTags *TagFilter `json:"filterTags,omitempty"`

	// semver chooses the highest version within a range.
	// +optional
	SemVer *SemVerPolicy `json:"semver,omitempty"`

	// alphabetical chooses the last tag in the order of the alphabet, or the first.
	// +optional
	Alphabetical *OrderPolicy `json:"alphabetical,omitempty"`

	// numerical chooses the tag with the highest number, or with the lowest.
	// +optional
	Numerical *OrderPolicy `json:"numerical,omitempty"`
}

// TagFilter leaves only some of the tags to choose from.
type TagFilter struct {
	// pattern is a regular expression of Go that a tag must match.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Pattern string `json:"pattern"`

	// extract is what the policy compares in place of the tag: text with $1 or $name for what groups of the pattern
	// matched.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Extract string `json:"extract,omitempty"`
}

// SemVerPolicy chooses the highest version within a range.
type SemVerPolicy struct {
	// range is of versions, for instance ">=1.2.0 <2.0.0".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Range string `json:"range"`
}

// OrderPolicy chooses the last in an order.
type OrderPolicy struct {
	// order is asc for the last or highest, desc for the first or lowest.
	// +optional
	// +kubebuilder:default=asc
	// +kubebuilder:validation:Enum=asc;desc
	Order string `json:"order,omitempty"`
}

// PullSecretReference names a Secret of the operator's namespace.
type PullSecretReference struct {
	// name is the Secret's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Encryption says how a snapshot is encrypted.
type Encryption struct {
	// kmsKeyID is a KMS key's id, ARN, or alias ("alias/images").
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	KMSKeyID string `json:"kmsKeyID"`
}

// RegionalCopy is a copy in another Region.
type RegionalCopy struct {
	// region is an AWS Region other than the operator's, for instance us-west-2.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2}(-[a-z]+)+-[0-9]+$')",message="region must be the name of an AWS Region, for instance us-west-2"
	Region string `json:"region"`

	// kmsKeyID is a KMS key of that Region. Left out, the copy of an encrypted snapshot is encrypted with that Region's
	// default key for EBS.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	KMSKeyID string `json:"kmsKeyID,omitempty"`
}

// AccountID is an AWS account's.
//
// +kubebuilder:validation:MaxLength=12
// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{12}$')",message="an AWS account id has 12 digits: write it in quotes, for instance \"111122223333\""
type AccountID string

// FastSnapshotRestore says where volumes start without delay.
type FastSnapshotRestore struct {
	// availabilityZones are names of zones of the operator's Region, for instance us-west-2a.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	AvailabilityZones []AvailabilityZone `json:"availabilityZones"`
}

// AvailabilityZone is the name of a zone.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=64
type AvailabilityZone string

// Publish says where the current snapshot's id is written.
//
// +kubebuilder:validation:MinProperties=1
type Publish struct {
	// ssmParameter is the name of an SSM parameter in the operator's Region, whose value becomes the snapshot's id.
	// +optional
	// +kubebuilder:validation:MaxLength=1011
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+)*$')",message="ssmParameter must be a full name as SSM takes it, for instance /larder/inference"
	// +kubebuilder:validation:XValidation:rule="!self.matches('(?i)^/(aws|ssm)')",message="ssmParameter must not begin with /aws or /ssm, which AWS keeps for itself"
	SSMParameter string `json:"ssmParameter,omitempty"`

	// configMap is one in the operator's namespace that Larder makes.
	// +optional
	ConfigMap *ConfigMapReference `json:"configMap,omitempty"`
}

// ConfigMapReference names a ConfigMap of the operator's namespace.
type ConfigMapReference struct {
	// name is the ConfigMap's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// DeletionPolicy says what becomes of snapshots whose object is deleted.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

// Deletion policies.
const (
	// DeletionDelete deletes the snapshots once nobody may use them.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain leaves the snapshots to the user.
	DeletionRetain DeletionPolicy = "Retain"
)

// TagValue is an AWS tag's value.
//
// +kubebuilder:validation:MaxLength=255
type TagValue string

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
