package ec2nodeclass

import (
	"fmt"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

// inUse keeps a derived class as long as a pool would be left without: Karpenter launches no node of a class that is gone.
func inUse(derived, class string, users fleet.Fleet) *binding.Problem {
	var namedBy []string
	for _, pool := range users.Launching() {
		namedBy = append(namedBy, pool.GetName())
	}
	nodes := users.Claims()
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
