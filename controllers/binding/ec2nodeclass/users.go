package ec2nodeclass

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// poolsNaming returns the NodePools that launch nodes of a class, sorted. Without the kind there are none.
func (t *Target) poolsNaming(ctx context.Context, class string) ([]string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(poolKind.GroupVersion().WithKind(poolKind.Kind + "List"))
	if err := t.Reader.List(ctx, list); meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("listing the NodePools of EC2NodeClass %s: %w", class, err)
	}
	var names []string
	for i := range list.Items {
		if namedClass(&list.Items[i], "spec", "template", "spec", "nodeClassRef") == class {
			names = append(names, list.Items[i].GetName())
		}
	}
	slices.Sort(names)
	return names, nil
}

// inUse keeps a derived class as long as a pool would be left without: Karpenter launches no node of a class that is gone.
func inUse(derived, class string, namedBy []string, pools []binding.Pool) *binding.Problem {
	nodes := 0
	for _, pool := range pools {
		nodes += pool.Current + pool.Outdated
	}
	problem := &binding.Problem{Reason: v1alpha1.ReasonDerivedClassInUse, RetryAfter: inUseRetry}
	switch {
	case len(namedBy) > 0:
		problem.Message = fmt.Sprintf("EC2NodeClass %s is deleted with this binding, and NodePools still launch from it (%s): "+
			"point spec.template.spec.nodeClassRef.name of each elsewhere, for instance to %s, or set deletionPolicy of the "+
			"binding to Leave to keep the class", derived, firstOf(namedBy), class)
	case nodes > 0:
		problem.Message = fmt.Sprintf("EC2NodeClass %s is deleted when its last NodeClaim is gone, and %d are left: wait until "+
			"Karpenter has replaced them, or set deletionPolicy of the binding to Leave to keep the class", derived, nodes)
	default:
		return nil
	}
	return problem
}

// firstOf lists at most five names.
func firstOf(names []string) string {
	const atMost = 5
	if len(names) <= atMost {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:atMost], ", "), len(names)-atMost)
}
