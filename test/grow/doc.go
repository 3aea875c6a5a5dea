// Package grow lets a real kernel grow a volume's filesystem while it is mounted, as a node does at its first boot
// from a disk that is larger than the snapshot: growing a filesystem that is not mounted is other code, and growing
// a mounted one on the machine that runs the tests would need more than root.
//
// The kernel is the distribution's, unpacked by hack/kernel-assets.sh, in a virtual machine without any other
// software than the command in guest, systemd-repart and systemd-growfs. It needs neither root nor KVM: the
// processor is emulated, which is the same everywhere and fast enough.
//
// The tests carry the build tag "grow":
//
//	make test-grow
//
// What is missing on a machine is a failure that names it, never a skip.
package grow
