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

// What is looked for where a class is missing.
//
// +kubebuilder:rbac:groups=eks.amazonaws.com,resources=nodeclasses,verbs=get

var autoModeKind = schema.GroupVersionKind{Group: "eks.amazonaws.com", Version: "v1", Kind: "NodeClass"}

// explainMissing returns the problem of a class that does not exist: who names the NodeClass of EKS Auto Mode by its name
// hears that it cannot be bound, instead of that it is not there. Whether there is one is not worth an error of its own.
func (t *Target) explainMissing(ctx context.Context, name string, missing *binding.Problem) (*binding.Problem, error) {
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(autoModeKind)
	err := t.Reader.Get(ctx, client.ObjectKey{Name: name}, class)
	switch {
	case err == nil:
		return autoMode(name), nil
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return missing, nil
	default:
		return nil, fmt.Errorf("reading NodeClass %s of EKS Auto Mode: %w", name, err)
	}
}

// autoMode: https://docs.aws.amazon.com/eks/latest/userguide/create-node-class.html lists every field.
func autoMode(name string) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonUnsupportedTarget, Stalled: true,
		Message: fmt.Sprintf("%s is a NodeClass of EKS Auto Mode (%s), which has no field for a snapshot: make an EC2NodeClass for "+
			"a Karpenter that you run yourself beside it, and bind that one", name, autoModeKind.Group),
	}
}
