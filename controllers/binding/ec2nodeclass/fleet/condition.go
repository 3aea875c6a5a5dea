package fleet

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Condition types of Karpenter's: sigs.k8s.io/karpenter, pkg/apis/v1, and github.com/aws/karpenter-provider-aws, pkg/apis/v1.
// Ready sums up the others of its object.
const (
	conditionReady               = "Ready"
	conditionLaunched            = "Launched"
	conditionRegistered          = "Registered"
	conditionInitialized         = "Initialized"
	conditionDrifted             = "Drifted"
	conditionAMIsReady           = "AMIsReady"
	conditionValidationSucceeded = "ValidationSucceeded"     // not in Karpenter 1.0
	conditionRegistrationHealthy = "NodeRegistrationHealthy" // not in Karpenter 1.0
)

// condition is one of an object's; the zero value is one that it does not have.
type condition struct {
	kind, status, reason, message string
	// since is when the status last changed.
	since time.Time
	// generation is the one of the object that it speaks of; 0 when it does not say, as in Karpenter 1.0.
	generation int64
}

func (c condition) is(status metav1.ConditionStatus) bool { return c.status == string(status) }

// isPresentAndNot tells that the object has the condition, and not with that status.
func (c condition) isPresentAndNot(status metav1.ConditionStatus) bool {
	return c.status != "" && !c.is(status)
}

// lags tells that the condition speaks of an older generation of the object.
func (c condition) lags(object *unstructured.Unstructured) bool {
	return c.generation != 0 && c.generation < object.GetGeneration()
}

// String is "Launched=Unknown LaunchFailed: Instance launch failed".
func (c condition) String() string {
	text := fmt.Sprintf("%s=%s", c.kind, c.status)
	if c.reason != "" && c.reason != c.kind {
		text += " " + c.reason
	}
	if c.message != "" {
		text += ": " + c.message
	}
	return text
}

func conditionOf(object *unstructured.Unstructured, kind string) condition {
	for _, c := range conditionsOf(object) {
		if c.kind == kind {
			return c
		}
	}
	return condition{kind: kind}
}

func conditionsOf(object *unstructured.Unstructured) []condition {
	list, _ := field(object, "status", "conditions").([]any)
	conditions := make([]condition, 0, len(list))
	for _, entry := range list {
		entry, _ := entry.(map[string]any)
		c := condition{}
		c.kind, _ = entry["type"].(string)
		c.status, _ = entry["status"].(string)
		c.reason, _ = entry["reason"].(string)
		c.message, _ = entry["message"].(string)
		c.generation, _ = entry["observedGeneration"].(int64)
		since, _ := entry["lastTransitionTime"].(string)
		c.since, _ = time.Parse(time.RFC3339, since)
		conditions = append(conditions, c)
	}
	return conditions
}

// isSettled tells that Karpenter has looked at the object as it is now, whatever it found.
func isSettled(object *unstructured.Unstructured) bool {
	generation := conditionOf(object, conditionReady).generation
	return generation != 0 && generation == object.GetGeneration()
}

// field returns what is there, not a copy; nil when nothing is, or when something on the way is not what it should be.
func field(object *unstructured.Unstructured, path ...string) any {
	value, _, err := unstructured.NestedFieldNoCopy(object.Object, path...)
	if err != nil {
		return nil
	}
	return value
}
