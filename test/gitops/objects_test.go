package gitops_test

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

const generation = 4

var now = metav1.NewTime(time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC))

// is is a condition as the controllers write it.
func is(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message,
		ObservedGeneration: generation, LastTransitionTime: now,
	}
}

func ready(reason, message string) metav1.Condition {
	return is(v1alpha1.ConditionReady, metav1.ConditionTrue, reason, message)
}

func notReady(reason, message string) metav1.Condition {
	return is(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
}

func reconciling(reason, message string) metav1.Condition {
	return is(v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, message)
}

func stalled(reason, message string) metav1.Condition {
	return is(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, UID: "0a1b", Generation: generation, CreationTimestamp: now}
}

// snapshot is one that was observed, with these conditions.
func snapshot(conditions ...metav1.Condition) *v1alpha1.ImageCacheSnapshot {
	return &v1alpha1.ImageCacheSnapshot{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ImageCacheSnapshot"},
		ObjectMeta: meta("inference"),
		Spec:       v1alpha1.ImageCacheSnapshotSpec{Images: []v1alpha1.CachedImage{{Image: "registry.example/llm:v1"}}},
		Status:     v1alpha1.ImageCacheSnapshotStatus{ObservedGeneration: generation, Conditions: conditions},
	}
}

// binding is one that was observed, with these conditions.
func binding(conditions ...metav1.Condition) *v1alpha1.NodeClassBinding {
	return &v1alpha1.NodeClassBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "NodeClassBinding"},
		ObjectMeta: meta("gpu"),
		Spec: v1alpha1.NodeClassBindingSpec{
			Snapshot: v1alpha1.SnapshotSource{Ref: &v1alpha1.SnapshotReference{Name: "inference"}},
			Target:   v1alpha1.Target{EC2NodeClass: &v1alpha1.EC2NodeClassTarget{Name: "gpu", Device: v1alpha1.Device{Name: "/dev/xvdb"}}},
			Rollout:  v1alpha1.Rollout{Strategy: v1alpha1.RolloutWithNextDrift},
		},
		Status: v1alpha1.NodeClassBindingStatus{ObservedGeneration: generation, Conditions: conditions},
	}
}

func applied(status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return is(v1alpha1.ConditionApplied, status, reason, message)
}

// with changes a new object, for a case that says in one expression what it is about.
func with[T any](object T, changes ...func(T)) T {
	for _, change := range changes {
		change(object)
	}
	return object
}
