// Package volume turns images into the blocks of a disk that a node can boot with: partition table,
// filesystem, containerd root and layout record, each block written once.
//
//	images ─ NewPlan ─▶ Plan ─┬─ layers ─▶ layer.Read ─▶ ext4.Region ─┐
//	                          └─ ctrstore (databases, small blobs) ───┴▶ ext4.Writer ─▶ Disk
//
// Layers are read in parallel and streamed: nothing is spooled, and what is on the volume depends on the
// images and the size alone, never on timing.
package volume
