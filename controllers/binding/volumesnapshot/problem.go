package volumesnapshot

import (
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

func kindMissing() *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetKindMissing,
		Message: "this cluster has no VolumeSnapshots (snapshot.storage.k8s.io/v1): install the CSI snapshot controller with its " +
			"definitions, on EKS as the add-on snapshot-controller; the binding goes on by itself then",
		RetryAfter: kindRetry,
	}
}

func unreadable(key client.ObjectKey, err error) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetUnreadable, Stalled: true,
		Message: fmt.Sprintf("the operator may not read VolumeSnapshot %s, the VolumeSnapshotContents, or namespace %s with its "+
			"PersistentVolumeClaims: extend its role; %v", key, key.Namespace, err),
		RetryAfter: deniedRetry, Cause: err,
	}
}

func namespaceMissing(key client.ObjectKey) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetMissing,
		Message: fmt.Sprintf("namespace %s does not exist: create it, or delete this binding and make one for another namespace",
			key.Namespace),
		RetryAfter: namespaceRetry,
	}
}

func namespaceEnds(key client.ObjectKey) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetMissing,
		Message: fmt.Sprintf("namespace %s is being deleted: create it again, or delete this binding and make one for another "+
			"namespace", key.Namespace),
		RetryAfter: namespaceRetry,
	}
}

func snapshotExists(key client.ObjectKey) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonVolumeSnapshotExists, Stalled: true,
		Message: fmt.Sprintf("VolumeSnapshot %s exists, and this binding did not make it: delete it, or delete this binding and "+
			"make one for another name", key),
	}
}

func contentExists(name string) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonVolumeSnapshotExists, Stalled: true,
		Message: fmt.Sprintf("VolumeSnapshotContent %s exists without the label %s that Larder made it with: delete it", name,
			v1alpha1.LabelBinding),
		RetryAfter: deniedRetry,
	}
}
