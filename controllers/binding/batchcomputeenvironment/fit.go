package batchcomputeenvironment

import (
	"fmt"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/batch"
)

// serviceRole ends the ARN of Batch's service-linked role, without which it replaces no instances.
// https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html
const serviceRole = "/AWSServiceRoleForBatch"

// updatable are the allocation strategies of environments whose instances Batch can replace.
// https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html
var updatable = map[string]bool{
	"BEST_FIT_PROGRESSIVE":          true,
	"SPOT_CAPACITY_OPTIMIZED":       true,
	"SPOT_PRICE_CAPACITY_OPTIMIZED": true,
}

// amazonLinuxRoot is what Amazon's own AMIs for ECS and EKS boot from, all of which are Amazon Linux.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/retrieve-ecs-optimized_AMI.html
const amazonLinuxRoot = "/dev/xvda"

// rootDevice returns what instances boot from if their AMI is Amazon's; empty when it is not known.
func rootDevice(environment *batch.ComputeEnvironment) string {
	if environment.ImageID != "" {
		return ""
	}
	for _, image := range environment.Images {
		amazons := strings.HasPrefix(image.Type, "ECS_AL") || strings.HasPrefix(image.Type, "EKS_AL")
		if image.ID != "" || !amazons {
			return ""
		}
	}
	return amazonLinuxRoot
}

func missing(name string) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetMissing, RetryAfter: lookAgain,
		Message: fmt.Sprintf("this account has no compute environment %s in the operator's Region: create it, or delete this binding and "+
			"make one for another environment", name),
	}
}

// unfit says why no snapshot can be written to an environment; nil when nothing speaks against it.
func unfit(environment *batch.ComputeEnvironment) *binding.Problem {
	refuse := func(reason, format string, args ...any) *binding.Problem {
		message := fmt.Sprintf(format, args...)
		return &binding.Problem{Reason: reason, Stalled: true, RetryAfter: lookAgain, Message: fmt.Sprintf("compute environment %s %s", environment.Name, message)}
	}
	strategy := environment.AllocationStrategy
	if strategy == "" {
		strategy = "BEST_FIT"
	}
	switch role := environment.ServiceRole; {
	case !environment.Managed:
		return refuse(v1alpha1.ReasonUnsupportedTarget, "is unmanaged, so that Batch launches none of its instances: bind what does, for "+
			"instance with target.launchTemplate")
	case environment.Fargate:
		return refuse(v1alpha1.ReasonUnsupportedTarget, "runs on Fargate, which has no instances that could boot with a snapshot: bind an "+
			"environment of type EC2 or SPOT")
	case len(environment.Templates) == 0:
		return refuse(v1alpha1.ReasonNoLaunchTemplate, "has no launch template, and only there can a device be said: give it one by "+
			"updating computeResources.launchTemplate")
	case !updatable[strategy]:
		return refuse(v1alpha1.ReasonAllocationStrategy, "has the allocation strategy %s, with which Batch changes no launch template: "+
			"recreate it with BEST_FIT_PROGRESSIVE, SPOT_CAPACITY_OPTIMIZED or SPOT_PRICE_CAPACITY_OPTIMIZED", strategy)
	case role != "" && !strings.HasSuffix(role, serviceRole):
		return refuse(v1alpha1.ReasonUnsupportedTarget, "has the service role %s, with which Batch changes no launch template: recreate it "+
			"with the service-linked role AWSServiceRoleForBatch, which cannot be given to it later", role)
	}
	return nil
}

// degraded is of an environment that was invalid before Larder wrote it.
func degraded(environment *batch.ComputeEnvironment) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetDegraded, Stalled: true, RetryAfter: lookAgain,
		Message: fmt.Sprintf("compute environment %s is INVALID, and was before Larder changed it: %s: mend it first", environment.Name, reasonOf(environment)),
	}
}

func reasonOf(environment *batch.ComputeEnvironment) string {
	if environment.StatusReason == "" {
		return "Batch gives no reason"
	}
	return environment.StatusReason
}
