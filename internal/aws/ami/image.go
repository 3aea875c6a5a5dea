package ami

// Image is what EC2 says of an AMI.
type Image struct {
	// ID is the AMI's.
	ID string
	// Architecture is EC2's word for it: "x86_64" or "arm64".
	Architecture string
	// RootDevice is the device that instances boot from, as in the AMI's block device mappings: "/dev/xvda".
	RootDevice string
	// RootGiB is the size of the snapshot that the root device is made of; 0 for an AMI whose root is not on EBS.
	RootGiB int64
}
