package launch

import (
	"cmp"
	"time"
)

// Reference names a launch template by its id, or else by its name.
type Reference struct{ ID, Name string }

// String names the template in words.
func (r Reference) String() string { return "launch template " + cmp.Or(r.ID, r.Name) }

// Template is a launch template of this account in the client's Region.
type Template struct {
	// ID and Name are the template's.
	ID, Name string
	// DefaultVersion and LatestVersion are the numbers of these two versions.
	DefaultVersion, LatestVersion int64
}

// Version is one version of a launch template. It never changes, but for being the default one.
type Version struct {
	// TemplateID is the id of the launch template.
	TemplateID string
	// Number counts the template's versions from 1, and is not given again after a version was deleted.
	Number int64
	// Description is what its maker said of it.
	Description string
	// CreatedBy is the ARN of the principal that made it, and CreateTime when.
	CreatedBy  string
	CreateTime time.Time
	// Default tells that it is the template's default one.
	Default bool
	// Devices are its block device mappings, in their order.
	Devices []Device
	// ImageID is an AMI's id, or the name of a parameter that has it; empty when the template does not say.
	ImageID string
	// InstanceType is empty when the template does not say.
	InstanceType string
	// UserData is in base64, as AWS keeps it.
	UserData string
	// Spot tells that it asks for Spot instances.
	Spot bool
}

// Device is one block device mapping: a volume of EBS or of an instance store, or the absence of a device that the AMI has.
type Device struct {
	// Name is what EC2 calls the device: "/dev/xvdb".
	Name string
	// VirtualName is that of an instance store volume: "ephemeral0".
	VirtualName string
	// NoDevice tells that the mapping keeps the AMI's device of this name away.
	NoDevice bool
	// EBS is nil for what is no volume of EBS.
	EBS *Volume
}

// Volume is what a mapping says of a volume of EBS; zero is what it does not say.
type Volume struct {
	// SnapshotID is the snapshot that the volume is made from.
	SnapshotID string
	// SizeGiB is its size in GiB.
	SizeGiB int64
	// Type is the EBS volume type: "gp3".
	Type string
	// IOPS are I/O operations a second; Throughput and InitializationRate are in MiB a second.
	IOPS, Throughput, InitializationRate int64
	// Encrypted and DeleteOnTermination are nil when the mapping does not say.
	Encrypted, DeleteOnTermination *bool
	// KMSKeyID is the key's id, alias or ARN.
	KMSKeyID string
	// CardIndex is the EBS card, on instance types that have several; nil when the mapping does not say.
	CardIndex *int32
}

// NewVersion is a version to make of another one.
type NewVersion struct {
	// TemplateID is the id of the launch template.
	TemplateID string
	// Source is the number of the version that all but the devices is taken from.
	Source int64
	// Devices are all the devices that the version is to have. None is possible only of a source without any, since EC2
	// takes the source's devices when a call has none.
	Devices []Device
	// UserData is the source's. It is sent when there are no devices: EC2 takes no version of which nothing is said.
	UserData string
	// Description has at most 255 characters.
	// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
	Description string
	// Token makes the call idempotent: EC2 answers an equal call with an equal token as the first time.
	Token string
}

// RefusedError is EC2's word that instances cannot be launched with a version.
type RefusedError struct {
	// Number is the version's.
	Number int64
	// NotDeleted is why the version is still there; nil when it was deleted again.
	NotDeleted error
	// Codes and Messages are AWS's own, in pairs. Where EC2 kept something else than it was sent, Larder's words take their
	// place.
	Codes, Messages []string
}
