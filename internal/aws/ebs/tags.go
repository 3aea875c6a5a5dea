package ebs

// Tags that say who made a snapshot and what is in it. Together they are how a snapshot is found again after
// a crash, so they are given in the very call that makes it.
const (
	// TagClusterUID is the UID of the cluster's kube-system namespace: only its own Larder may delete it.
	TagClusterUID = "larder.dev/cluster-uid"
	// TagObjectUID is the UID of the ImageCacheSnapshot.
	TagObjectUID = "larder.dev/object-uid"
	// TagRevision is the revision's number, in decimal.
	TagRevision = "larder.dev/revision"
	// TagContentHash is the hash over everything that decides the contents.
	TagContentHash = "larder.dev/content-hash"
	// TagAttempt is the number of the attempt at building the revision, in decimal.
	TagAttempt = "larder.dev/attempt"
	// TagObjectName is the ImageCacheSnapshot's name, for people.
	TagObjectName = "larder.dev/object-name"
)
