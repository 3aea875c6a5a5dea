package ec2nodeclass

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// The definition of EC2NodeClasses as this cluster has it.
//
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=ec2nodeclasses.karpenter.k8s.aws,verbs=get

const classDefinition = "ec2nodeclasses.karpenter.k8s.aws"

var definitionKind = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}

// support tells whether the cluster's definition of EC2NodeClasses has a field. The API server drops one that it lacks
// without a word: the device would never be what was written, and nodes would do without it.
type support int

const (
	// supported is also what a binding does not ask for.
	supported support = iota
	lacking
	// notKnown is for an operator that may not read definitions.
	notKnown
)

// readSupport asks for the one field of a device that a binding may say and that not every v1 release of Karpenter has.
func (t *Target) readSupport(ctx context.Context, b *v1alpha1.NodeClassBinding) (support, error) {
	if b.Spec.Target.EC2NodeClass.Device.VolumeInitializationRate == nil {
		return supported, nil
	}
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(definitionKind)
	err := t.Reader.Get(ctx, client.ObjectKey{Name: classDefinition}, definition)
	switch {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return notKnown, nil
	case err != nil:
		return notKnown, fmt.Errorf("reading the definition of EC2NodeClasses: %w", err)
	case hasDeviceField(definition, "volumeInitializationRate"):
		return supported, nil
	default:
		return lacking, nil
	}
}

// hasDeviceField looks below spec.blockDeviceMappings[].ebs in the version that Larder uses.
func hasDeviceField(definition *unstructured.Unstructured, field string) bool {
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, entry := range versions {
		version, _ := entry.(map[string]any)
		if version["name"] != classKind.Version {
			continue
		}
		_, found, _ := unstructured.NestedFieldNoCopy(version, "schema", "openAPIV3Schema", "properties", "spec", "properties",
			"blockDeviceMappings", "items", "properties", "ebs", "properties", field)
		return found
	}
	return false
}

// judge adds the problem of a field that is lacking, or the warning of one that is not known.
func (s support) judge(plan *binding.Plan) {
	switch {
	case s == lacking && plan.Problem == nil:
		plan.Problem = &binding.Problem{
			Reason: v1alpha1.ReasonFieldUnsupported, Stalled: true,
			Message: "the EC2NodeClasses of this cluster have no ebs.volumeInitializationRate, and the API server would drop it: " +
				"update Karpenter and its definitions to 1.5 or later, or leave volumeInitializationRate out of " +
				"spec.target.ec2NodeClass.device",
			RetryAfter: deniedRetry,
		}
	case s == notKnown:
		plan.Warnings = append(plan.Warnings, binding.Warning{
			Reason: v1alpha1.ReasonNotChecked,
			Message: "whether this cluster's EC2NodeClasses have ebs.volumeInitializationRate could not be seen: let the " +
				"operator's role get CustomResourceDefinition " + classDefinition + ", or see that Karpenter is 1.5 or later",
		})
	}
}
