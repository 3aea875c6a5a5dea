package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodeClassBindingStatus says what was written to the target.
type NodeClassBindingStatus struct {
	// conditions are Ready, SnapshotAvailable, PreflightPassed, Applied and RolledOut; and Reconciling or Stalled while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// appliedSnapshotID is the snapshot that the target was last made to name.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	AppliedSnapshotID string `json:"appliedSnapshotID,omitempty"`

	// appliedTime is when that was written, or when a bad one was taken out with nothing to go back to.
	// +optional
	AppliedTime *metav1.Time `json:"appliedTime,omitempty"`

	// healthySince is since when nodes are Ready with it and none failed. It is proven when that has lasted
	// rollout.rollback.after.
	// +optional
	HealthySince *metav1.Time `json:"healthySince,omitempty"`

	// lastKnownGoodSnapshotID is the snapshot to go back to: the last one that nodes became Ready with, or, as long as
	// that is not known of any, the one that the target named before. It is kept as long as the binding names it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastKnownGoodSnapshotID string `json:"lastKnownGoodSnapshotID,omitempty"`

	// lastKnownGoodProven tells that nodes became Ready with it, and that nothing failed during its trial.
	// +optional
	LastKnownGoodProven bool `json:"lastKnownGoodProven,omitempty"`

	// rejectedSnapshotID is a snapshot that failed and was taken back. It is not written again, unless larder.dev/apply-now
	// asks.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RejectedSnapshotID string `json:"rejectedSnapshotID,omitempty"`

	// rejectedBecause is what failed.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	RejectedBecause string `json:"rejectedBecause,omitempty"`

	// lastHandledApplyNow is the value of the annotation larder.dev/apply-now that was last acted on.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledApplyNow string `json:"lastHandledApplyNow,omitempty"`

	// pending is the change that waits, and what it would do; absent when none does.
	// +optional
	Pending *PendingChange `json:"pending,omitempty"`

	// nodes are those of the target, as of the last look.
	// +optional
	Nodes *NodeCounts `json:"nodes,omitempty"`

	// rival is who took the device back after it was written, if anyone did.
	// +optional
	Rival *Rival `json:"rival,omitempty"`
}

// Rival is a field manager that reverts the device.
type Rival struct {
	// manager is its field manager's name.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Manager string `json:"manager"`

	// reverts counts how often it reverted the device since the snapshot or the spec last changed.
	// +required
	Reverts int32 `json:"reverts"`

	// time is when the last one was seen.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// PendingChange is a change to the target that waits.
type PendingChange struct {
	// snapshotID is the snapshot to be written; empty when the device is to be restored.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SnapshotID string `json:"snapshotID,omitempty"`

	// why is the reason that the condition Applied has.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Why string `json:"why"`

	// since is when it began to wait.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// nextWindow is when the rollout's window opens next.
	// +optional
	NextWindow *metav1.Time `json:"nextWindow,omitempty"`

	// nodesThatWouldBeReplaced are the NodeClaims that would drift because of the change. Those that are being replaced
	// anyway, and those of NodePools that hold drift at zero, are not counted.
	// +required
	NodesThatWouldBeReplaced int32 `json:"nodesThatWouldBeReplaced"`

	// nodePools are where they are.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	NodePools []NodePoolReplacements `json:"nodePools,omitempty"`
}

// NodePoolReplacements is a NodePool's part of a pending change.
type NodePoolReplacements struct {
	// name is the NodePool's; empty for NodeClaims without one.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// nodes would be replaced.
	// +required
	Nodes int32 `json:"nodes"`
}

// NodeCounts says how far a snapshot has come.
type NodeCounts struct {
	// current nodes were launched with the snapshot that is applied.
	// +required
	Current int32 `json:"current"`

	// outdated nodes were launched with something else.
	// +required
	Outdated int32 `json:"outdated"`

	// nodePools are where they are.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	NodePools []NodePoolCounts `json:"nodePools,omitempty"`
}

// NodePoolCounts is a NodePool's part of the nodes.
type NodePoolCounts struct {
	// name is the NodePool's; empty for NodeClaims without one.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// current nodes were launched with the snapshot that is applied.
	// +required
	Current int32 `json:"current"`

	// outdated nodes were launched with something else.
	// +required
	Outdated int32 `json:"outdated"`
}
