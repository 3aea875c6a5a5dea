package preflight

import (
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// Input is what is known before a device is written.
type Input struct {
	// Words are how messages call the target and what is in it.
	Words Words
	// Device is the name of the device that the binding asks for: "/dev/xvdb".
	Device string
	// Devices are those that the target lists itself.
	Devices []Device
	// RootAddedBy is who adds the root device to an empty list and to no other, in words: "Karpenter". It is empty when a
	// list with one device more loses nothing.
	RootAddedBy string
	// Family is the nodes', by amifamily's names.
	Family string
	// Runtime is what runs the nodes' containers.
	Runtime amifamily.Runtime
	// Stock tells that the nodes' AMIs are Amazon's own, of which it is known what they do with a volume.
	Stock bool
	// AMIs are what EC2 says of those that the nodes boot from; nil when that is not known.
	AMIs []ami.Image
	// UserData is what the nodes are given, as text.
	UserData string
	// RAID0 tells that spec.instanceStorePolicy of Karpenter's class is RAID0.
	RAID0 bool
	// Wanted is the volume that would be written; zero when none could be made.
	Wanted Volume
	// Snapshot is what the nodes are to boot with; its ID is empty when there is none yet.
	Snapshot binding.Snapshot
	// Architectures are those that the nodes may have: "amd64", "arm64". There is nothing to check when it is empty.
	Architectures []string
	// ArchitecturesKnown tells that the target itself says so. Else its nodes may have fewer of them.
	ArchitecturesKnown bool
	// Burst is how many nodes may start at once.
	Burst int64
	// Launchers start nodes by roles that need the snapshot's KMS key.
	Launchers []Launcher
}

// Words are how a target and what is in it are called, so that a message says what to change where.
type Words struct {
	// Target names the target: "EC2NodeClass gpu".
	Target string
	// Kind is what it is one of: "class".
	Kind string
	// Device is the field of the binding that says the device: "spec.target.ec2NodeClass.device".
	Device string
	// List is where the target lists its devices: "spec.blockDeviceMappings".
	List string
	// UserData is where it has its user data: "spec.userData".
	UserData string
	// InstanceStorePolicy is the field of RAID0; empty for targets without.
	InstanceStorePolicy string
	// Architectures is where its nodes' architectures are chosen: "kubernetes.io/arch in the NodePools".
	Architectures string
}

// Device is one block device of a target's list.
type Device struct {
	// Name is like "/dev/xvda".
	Name string
	// EBS tells that it is a volume of EBS, and not an instance store's.
	EBS bool
	// SizeGiB is the volume's size; 0 when the list does not say.
	SizeGiB int64
}

// Volume is what would be made from the snapshot.
type Volume struct {
	// SizeGiB is its size.
	SizeGiB int64
	// InitializationRate is in MiB a second; 0 for none.
	InitializationRate int64
}
