// Package collection deletes the snapshots that nobody may use any more: revisions beyond an object's limit, what
// objects left behind that are gone, and copies that are no longer wanted.
//
// A sweep finds everything that carries the cluster's UID, and judges each snapshot that was made by Larder for sure.
// What is to go takes this way; every step is a sweep of its own, and a tag in AWS remembers it, so that it does not
// matter where a process ends:
//
//	superseded, or            marked:                  nobody refers to it,      fast restores off
//	its object is gone ──> ebs.TagSupersededAt ──> its grace is over, and ──> (or none were on) ──> deleted
//	                                               its copies are gone
//
// Who might still use a snapshot is looked up only when one is due, after everything else and in the sweep that deletes
// it. What cannot be read counts as in use: without the API server or the home Region nothing is deleted at all,
// and without another Region nothing there, and nothing that may have a copy there.
package collection

// Nothing is watched. A role cannot name what is yet to be created, so creating ConfigMaps stands by itself.
//
// +kubebuilder:rbac:groups=larder.dev,resources=imagecachesnapshots,verbs=list
// +kubebuilder:rbac:groups="",namespace=larder-system,resources=configmaps,resourceNames=larder-retained,verbs=get;patch
// +kubebuilder:rbac:groups="",namespace=larder-system,resources=configmaps,verbs=create
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
