// Package volume turns images into the blocks of a disk that nodes boot with or mount: partition table, filesystem,
// containerd root or plain files, and layout record, each block written once. A Format says which of these.
//
//	images ─ NewPlan ─▶ Plan ─┬─ layers ─▶ layer.Read ─▶ ext4.Region ─┐
//	                          └─ ctrstore (databases, small blobs) ───┴▶ ext4.Writer ─▶ Disk
//
// Layers are read in parallel and streamed: nothing is spooled, and what is on the volume depends on the
// images and the size alone, never on timing.
package volume
