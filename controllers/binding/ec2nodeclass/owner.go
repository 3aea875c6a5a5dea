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
	owners := ownersOf(class, func(fields specFields) bool { return fields["f:blockDeviceMappings"] != nil })
	if slices.ContainsFunc(owners, isOurs) {
		return fieldManager
	}
	return latest(owners)
}

// lastEditor returns who, other than Larder, last wrote anything of a derived class's spec. Larder owns all of it, so
// beside it only they are left who have added or changed something since, or applied what was there.
func lastEditor(class *unstructured.Unstructured) string {
	owners := ownersOf(class, func(fields specFields) bool { return len(fields) > 0 })
	return latest(slices.DeleteFunc(owners, isOurs))
}

func ownersOf(class *unstructured.Unstructured, owns func(specFields) bool) []metav1.ManagedFieldsEntry {
	return slices.DeleteFunc(class.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource != "" || !owns(specFieldsOf(entry))
	})
}

func latest(entries []metav1.ManagedFieldsEntry) string {
	last := metav1.ManagedFieldsEntry{Manager: unknownManager}
	for _, entry := range entries {
		if last.Time == nil || last.Time.Before(entry.Time) {
			last = entry
		}
	}
	return last.Manager
}

// specFields are the fields below spec that a manager owns, as "f:role".
type specFields map[string]json.RawMessage

func specFieldsOf(entry metav1.ManagedFieldsEntry) specFields {
	if entry.FieldsV1 == nil {
		return nil
	}
	var fields struct {
		Spec specFields `json:"f:spec"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return nil
	}
	return fields.Spec
}

func isOurs(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == fieldManager }

// hasFields tells whether Larder is still among the owners of any field of the class.
func hasFields(class *unstructured.Unstructured) bool {
	return slices.ContainsFunc(class.GetManagedFields(), isOurs)
}

// derivedRemedy says that a derived class is not for others to write.
func derivedRemedy(manager, derived, class string) string {
	return fmt.Sprintf("have %s leave EC2NodeClass %s alone, which Larder keeps equal to EC2NodeClass %s, and change that "+
		"one instead", manager, derived, class)
}

// remedy says how the well-known writers are told to leave the list alone.
//
// Argo CD: https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/ (an ignored field is still written on each
// sync unless RespectIgnoreDifferences is set). Flux: https://fluxcd.io/flux/components/kustomize/kustomizations/
// and https://fluxcd.io/flux/components/helm/helmreleases/. Terraform:
// https://github.com/hashicorp/terraform-provider-kubernetes/issues/1378.
func remedy(manager, class string) string {
	switch manager {
	case "argocd-controller", "argocd-application-controller":
		return fmt.Sprintf("in the Argo CD Application, add to ignoreDifferences {group: %s, kind: %s, name: %s, "+
			"jsonPointers: [/spec/blockDeviceMappings]} and to syncOptions RespectIgnoreDifferences=true",
			classKind.Group, classKind.Kind, class)
	case "kustomize-controller":
		return fmt.Sprintf("in the Flux Kustomization, from Flux 2.9 on, add to ignore {paths: [/spec/blockDeviceMappings], "+
			"target: {group: %s, kind: %s, name: %s}}; before, leave spec.blockDeviceMappings out of it in Git, or annotate it "+
			"there with kustomize.toolkit.fluxcd.io/ssa: IfNotPresent", classKind.Group, classKind.Kind, class)
	case "helm-controller":
		return fmt.Sprintf("in the Flux HelmRelease, add to driftDetection.ignore {paths: [/spec/blockDeviceMappings], "+
			"target: {kind: %s, name: %s}}", classKind.Kind, class)
	case "Terraform":
		return fmt.Sprintf("leave spec.blockDeviceMappings out of the manifest of EC2NodeClass %s, since ignore_changes does not "+
			"keep Terraform from writing it, or bind with spec.target.ec2NodeClass.derive", class)
	default:
		return fmt.Sprintf("make it leave spec.blockDeviceMappings of EC2NodeClass %s alone", class)
	}
}
