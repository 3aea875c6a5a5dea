// Package snapshot is the controller of ImageCacheSnapshots: it resolves the images of one, has a volume built from
// them, follows EBS until the snapshot is completed, and deletes it with the object.
package snapshot
