package karpenter

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Condition types and the reasons that others read.
const (
	conditionReady = "Ready"

	conditionAMIs           = "AMIsReady"
	conditionSubnets        = "SubnetsReady"
	conditionSecurityGroups = "SecurityGroupsReady"
	conditionProfile        = "InstanceProfileReady"
	conditionPlacementGroup = "PlacementGroupReady"
	conditionValidation     = "ValidationSucceeded"

	conditionClassReady          = "NodeClassReady"
	conditionRegistrationHealthy = "NodeRegistrationHealthy"

	conditionLaunched    = "Launched"
	conditionRegistered  = "Registered"
	conditionInitialized = "Initialized"
	conditionDrifted     = "Drifted"
	conditionDisruption  = "DisruptionReason"
)

// dependents are the conditions that Ready sums up, by kind.
var dependents = map[string][]string{
	EC2NodeClass.Kind: {conditionAMIs, conditionSubnets, conditionSecurityGroups, conditionProfile, conditionPlacementGroup, conditionValidation},
	NodePool.Kind:     {conditionValidation, conditionClassReady},
	NodeClaim.Kind:    {conditionLaunched, conditionRegistered, conditionInitialized},
}

// conditions are those of one object, as Karpenter's library for them sets them.
type conditions struct {
	object *unstructured.Unstructured
	now    metav1.Time
	all    []metav1.Condition
}

// conditionsOf reads an object's conditions. Those that Ready sums up are Unknown until they are set.
func (p *Player) conditionsOf(object *unstructured.Unstructured) *conditions {
	c := &conditions{object: object, now: metav1.Time{Time: p.Clock.Now()}}
	for _, entry := range entries(object.Object, "status", "conditions") {
		var one metav1.Condition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(entry, &one); err != nil {
			panic(fmt.Sprintf("reading a condition that the API server has checked: %v", err))
		}
		c.all = append(c.all, one)
	}
	for _, dependent := range dependents[object.GetKind()] {
		if c.get(dependent) == nil {
			c.set(dependent, metav1.ConditionUnknown, reasonAwaiting, messageAwaiting)
		}
	}
	return c
}

func (c *conditions) get(name string) *metav1.Condition { return meta.FindStatusCondition(c.all, name) }

func (c *conditions) isTrue(name string) bool { return meta.IsStatusConditionTrue(c.all, name) }

func (c *conditions) set(name string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&c.all, metav1.Condition{Type: name, Status: status, Reason: reason, Message: message,
		ObservedGeneration: c.object.GetGeneration(), LastTransitionTime: c.now})
}

// pass sets conditions to True, with their own names as reasons.
func (c *conditions) pass(names ...string) {
	for _, name := range names {
		c.set(name, metav1.ConditionTrue, name, "")
	}
}

func (c *conditions) clear(name string) { meta.RemoveStatusCondition(&c.all, name) }

// store sums up and writes the conditions into the object. A stale dependent is one that was not looked at since the
// object changed.
func (c *conditions) store(stale ...string) {
	var unhealthy []string
	status, reason := metav1.ConditionUnknown, "ReconcilingDependents"
	for _, name := range dependents[c.object.GetKind()] {
		one := c.get(name)
		current := one.ObservedGeneration == c.object.GetGeneration() && !slices.Contains(stale, name)
		if one.Status == metav1.ConditionTrue && current {
			continue
		}
		unhealthy = append(unhealthy, fmt.Sprintf("%s=%s", one.Type, one.Status))
		if one.Status == metav1.ConditionFalse && current {
			status, reason = metav1.ConditionFalse, "UnhealthyDependents"
		}
	}
	if len(unhealthy) == 0 {
		c.pass(conditionReady)
	} else {
		c.set(conditionReady, status, reason, strings.Join(unhealthy, ", "))
	}
	entries := make([]any, 0, len(c.all))
	for i := range c.all {
		entry, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&c.all[i])
		if err != nil {
			panic(fmt.Sprintf("writing a condition: %v", err)) // it is made of strings and numbers
		}
		entries = append(entries, entry)
	}
	set(c.object.Object, entries, "status", "conditions")
}
