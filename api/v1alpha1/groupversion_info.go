// Package v1alpha1 is the larder.dev/v1alpha1 API: what to cache (ImageCacheSnapshot) and who boots from it
// (NodeClassBinding).
//
// +kubebuilder:object:generate=true
// +groupName=larder.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "larder.dev", Version: "v1alpha1"}

	// SchemeBuilder collects the functions that add this package's kinds to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds this package's kinds to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&ImageCacheSnapshot{}, &ImageCacheSnapshotList{},
		&NodeClassBinding{}, &NodeClassBindingList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
