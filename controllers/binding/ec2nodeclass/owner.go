package ec2nodeclass

import (
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// fieldManager is the one name under which every binding writes.
	fieldManager = "larder"
	// unknownManager stands for whoever removed the list, which leaves it without an owner.
	unknownManager = "unknown"
)

// lastWriter returns the field manager that gave spec.blockDeviceMappings its present value. The list is atomic, so
// Larder owns it exactly as long as it is as Larder wrote it; others may have applied the same value beside it.
func lastWriter(class *unstructured.Unstructured) string {
	last := metav1.ManagedFieldsEntry{Manager: unknownManager}
	for _, entry := range class.GetManagedFields() {
		if entry.Subresource != "" || !ownsDevices(entry) {
			continue
		}
		if entry.Manager == fieldManager {
			return fieldManager
		}
		if last.Time == nil || last.Time.Before(entry.Time) {
			last = entry
		}
	}
	return last.Manager
}

func ownsDevices(entry metav1.ManagedFieldsEntry) bool {
	if entry.FieldsV1 == nil {
		return false
	}
	var fields struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return false
	}
	_, owned := fields.Spec["f:blockDeviceMappings"]
	return owned
}

func isOurs(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == fieldManager }

// hasFields tells whether Larder is still among the owners of any field of the class.
func hasFields(class *unstructured.Unstructured) bool {
	return slices.ContainsFunc(class.GetManagedFields(), isOurs)
}

// remedy says how the well-known writers are told to leave the list alone.
//
// Argo CD: https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/ (an ignored field is still written on each
// sync unless RespectIgnoreDifferences is set). Flux: https://fluxcd.io/flux/components/kustomize/kustomizations/
// and https://fluxcd.io/flux/components/helm/helmreleases/.
func remedy(manager, class string) string {
	switch manager {
	case "argocd-controller", "argocd-application-controller":
		return fmt.Sprintf("in the Argo CD Application, add to ignoreDifferences {group: %s, kind: %s, name: %s, "+
			"jsonPointers: [/spec/blockDeviceMappings]} and to syncOptions RespectIgnoreDifferences=true",
			classKind.Group, classKind.Kind, class)
	case "kustomize-controller":
		return fmt.Sprintf("in the repository that Flux applies, leave spec.blockDeviceMappings out of EC2NodeClass %s, or "+
			"annotate it with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent", class)
	case "helm-controller":
		return fmt.Sprintf("in the Flux HelmRelease, add to driftDetection.ignore {paths: [/spec/blockDeviceMappings], "+
			"target: {kind: %s, name: %s}}", classKind.Kind, class)
	default:
		return fmt.Sprintf("make it leave spec.blockDeviceMappings of EC2NodeClass %s alone", class)
	}
}
