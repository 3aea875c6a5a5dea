package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// otherValidations are reasons of ValidationSucceeded that say what is wrong, and that no snapshot can be:
// github.com/aws/karpenter-provider-aws, pkg/controllers/nodeclass/validation.go.
var otherValidations = []string{
	"ClusterCIDRResolutionFailed", "DependenciesNotReady", "DRADisabled", "InstanceProfileNotFound",
	"InvalidKubeletConfiguration", "KubeletExpressionEvaluationFailed", "KubeletExpressionInvalid", "KubeletExpressionsDisabled",
	"NVIDIAConsumableCapacityInvalid", "TagValidationFailed", "UnsupportedKubeletConfiguration", "UserDataSizeLimitExceeded",
}

// launchReasons are those of a failed launch that may be due to a snapshot: Karpenter's word for whatever it has no other
// word for, and for a snapshot or a key that may not be used. It has words of their own for a lack of capacity, quotas, AMIs,
// subnets, and instance profiles: github.com/aws/karpenter-provider-aws, pkg/errors/errors.go, ToReasonMessage.
var launchReasons = []string{"LaunchFailed", "Unauthorized"}

// otherLaunches are error codes of EC2, and words of Karpenter's, that tell of another cause. Early releases of Karpenter
// have one reason for all failures, and repeat EC2's answer in the message.
var otherLaunches = []string{
	"all requested instance types were unavailable", "belong to different networks", "iamInstanceProfile",
	"IAM Instance Profile", "InstanceLimitExceeded", "insufficient capacity", "InsufficientFreeAddressesInSubnet",
	"InsufficientInstanceCapacity", "InsufficientReservedInstanceCapacity", "InvalidAMIID", "InvalidCapacityReservation",
	"InvalidSubnetID", "MaxFleetCountExceeded", "MaxSpotInstanceCountExceeded", "not eligible for Free Tier",
	"Not authorized for images", "PendingVerification", "RequestLimitExceeded", "ReservationCapacityExceeded",
	"ServiceLinkedRoleCreationNotPermitted", "SpotMaxPriceTooLow", "UnfulfillableCapacity", "User data is limited to",
	"VcpuLimitExceeded",
}

// wordsOfVolumes outweigh otherLaunches: EC2 answers for several instance types at once.
var wordsOfVolumes = []string{"snapshot", "volume", "blockdevice", "block device", "kms"}

// mayBeSnapshot tells that a launch failed, and that nothing says for sure that it was for another cause.
func mayBeSnapshot(c condition) bool {
	if !c.isPresentAndNot(metav1.ConditionTrue) || !slices.Contains(launchReasons, c.reason) {
		return false
	}
	text := strings.ToLower(c.message)
	contains := func(word string) bool { return strings.Contains(text, strings.ToLower(word)) }
	return slices.ContainsFunc(wordsOfVolumes, contains) || !slices.ContainsFunc(otherLaunches, contains)
}

// ofClass blames the snapshot for a class that fails Karpenter's validation, and for nothing else that keeps it from being
// Ready. Karpenter tries a launch for that, without launching anything. If EC2 finds the snapshot itself at fault, Karpenter
// keeps the answer to its log, and ValidationSucceeded stays as it was for an older generation.
func (t *trial) ofClass() *binding.Problem {
	class := &t.fleet.class
	ready, validated := conditionOf(class, conditionReady), conditionOf(class, conditionValidationSucceeded)
	if !ready.isPresentAndNot(metav1.ConditionTrue) || ready.lags(class) || !t.concerns(ready) {
		return nil
	}
	silent := validated.lags(class) || validated.is(metav1.ConditionUnknown)
	if !silent && !validated.is(metav1.ConditionFalse) || !validated.lags(class) && slices.Contains(otherValidations, validated.reason) {
		return nil
	}
	for _, other := range conditionsOf(class) {
		if other.kind != conditionReady && other.kind != conditionValidationSucceeded &&
			(!other.is(metav1.ConditionTrue) || other.lags(class)) {
			return nil
		}
	}
	began := t.applied
	if ready.since.After(began) {
		began = ready.since
	}
	if !t.isOverdue(began.Add(grace)) {
		return nil
	}
	says := quote(ready) + "; " + quote(validated)
	if silent {
		says = fmt.Sprintf("%s, and has not passed validation since. The cause is only in Karpenter's log, under controller "+
			"nodeclass and this name", quote(ready))
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetNotReady,
		Message: fmt.Sprintf("EC2NodeClass %s is not Ready since the snapshot was written, and launches no nodes: it says %s",
			t.fleet.name, says),
	}
}

// concerns tells that the class stopped being Ready after the snapshot was written. A class that Larder derived was written
// with it, and Karpenter dates a condition that was never another back to the creation.
func (t *trial) concerns(ready condition) bool {
	class := &t.fleet.class
	if !ready.since.Before(t.applied.Truncate(time.Second)) {
		return true
	}
	return class.GetAnnotations()[v1alpha1.AnnotationDerivedFrom] != "" && ready.since.Equal(class.GetCreationTimestamp().Time)
}
