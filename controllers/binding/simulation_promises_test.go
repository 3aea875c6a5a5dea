package binding_test

import (
	"reflect"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// guarded makes a pass, and holds what it did against what the user agreed to.
func (s *simulation) guarded(pass func()) {
	s.settle()
	before, old := s.binding(), s.deviceOf(s.launches)
	leaving, ready := s.leaving(), map[string]bool{}
	for _, claim := range s.claims() {
		ready[claim.GetName()] = isTrue(&claim, "Ready")
	}
	pass()
	wrote := s.deviceOf(s.launches)
	if reflect.DeepEqual(old, wrote) {
		return
	}
	follows := s.derive && s.edited
	s.edited = false
	asked := before.Annotations[v1alpha1.AnnotationApplyNow] != before.Status.LastHandledApplyNow
	if before.Spec.Rollout.Paused {
		s.Fatalf("rollout.paused, and the device changed:\n%v\n%v", old, wrote)
	}
	s.checkWritten(before, snapshotIn(old), snapshotIn(wrote), asked)
	after := s.binding()
	opened := before.Spec.Rollout.Window != nil && s.clock.Now().UTC().Hour()%6 == 0
	if asked || follows || s.strategy == v1alpha1.RolloutRoll || s.strategy == v1alpha1.RolloutWithNextDrift && opened {
		return
	}
	retreats := after != nil && after.Status.RejectedSnapshotID != "" && after.Status.RejectedSnapshotID == snapshotIn(old)
	s.settle()
	drifted := s.leaving()
	for _, claim := range s.claims() {
		name, pool := claim.GetName(), claim.GetLabels()["karpenter.sh/nodepool"]
		spared := leaving[name] || !drifted[name] || retreats && !ready[name]
		held := s.holds(pool) && (retreats || s.strategy == v1alpha1.RolloutNewNodesOnly)
		if !spared && !held {
			s.Fatalf("%s, and NodeClaim %s drifts because of Larder:\n%v\n%v", s.strategy, name, old, wrote)
		}
	}
}

// checkWritten holds that no snapshot is written that nodes cannot boot from as far as anybody could know, and that one which
// was taken back stays out. What AWS says is believed for spec.snapshot.interval.
func (s *simulation) checkWritten(before *v1alpha1.NodeClassBinding, old, wrote string, asked bool) {
	if wrote == "" || wrote == old {
		return
	}
	if made := s.aws.made[wrote]; made != nil && made.state != ebs.StateCompleted {
		s.Fatalf("%s was written, which is %s", wrote, made.state)
	}
	if wrote == before.Status.RejectedSnapshotID && !asked {
		s.Fatalf("%s was written again, which had been taken back", wrote)
	}
}

// checkDevices holds that no other device is ever lost, and that a volume is as large as its snapshot.
func (s *simulation) checkDevices() {
	for _, name := range []string{"gpu", s.launches} {
		if !s.exists(name) {
			continue
		}
		var others []any
		for _, entry := range s.devicesIn(name) {
			if entry.(map[string]any)["deviceName"] != device {
				others = append(others, entry)
			}
		}
		if name == "gpu" && !reflect.DeepEqual(others, s.others) {
			s.Fatalf("another device of %s changed:\ngot  %v\nwant %v", name, others, s.others)
		}
		live := s.deviceOf(name)
		made := s.aws.made[snapshotIn(live)]
		if made == nil {
			continue
		}
		size := sizeIn(s, live)
		if size < made.gib {
			s.Fatalf("the volume has %d GiB, and its snapshot %d", size, made.gib)
		}
	}
	if s.derive && s.exists("gpu") && !reflect.DeepEqual(s.deviceOf("gpu"), s.theirs) {
		s.Fatalf("the class that another one is derived from was written: %v", s.deviceOf("gpu"))
	}
}
