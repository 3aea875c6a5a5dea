// Package references finds out who may still use a snapshot: what boots nodes or makes volumes from it, what may
// go back to it, and what is being built upon it. Nothing is deleted that one of them names.
//
// Everything is read when it is asked for, straight from the API server and from AWS. A cache that lags by a second
// could cost a node class its snapshot.
package references

// +kubebuilder:rbac:groups=larder.dev,resources=imagecachesnapshots;nodeclassbindings,verbs=list
// +kubebuilder:rbac:groups=karpenter.k8s.aws,resources=ec2nodeclasses,verbs=list
// +kubebuilder:rbac:groups=snapshot.storage.k8s.io,resources=volumesnapshotcontents,verbs=list
