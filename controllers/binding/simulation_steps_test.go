package binding_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/karpenter"
	"github.com/larder-dev/larder/test/targets"
)

func (s *simulation) renew() { s.publish(ebs.StateCompleted, false) }

// renewBadly offers a snapshot that AWS has not finished, or one that EC2 launches nothing with.
func (s *simulation) renewBadly() {
	if s.random.IntN(3) == 0 {
		s.publish(ebs.StatePending, false)
	} else {
		s.publish(ebs.StateCompleted, true)
	}
}

func (s *simulation) publish(state string, refused bool) {
	s.counts["snapshots"]++
	s.newest = fmt.Sprintf("snap-%017x", s.counts["snapshots"])
	gib := int64(8 * (1 + s.random.IntN(8)))
	s.aws.made[s.newest] = &madeSnapshot{gib: gib, state: state, refused: refused}
	s.setSnapshot(s.newest, fmt.Sprintf("%dGi", gib))
}

// lose has a person delete a snapshot in AWS.
func (s *simulation) lose() {
	if s.random.IntN(4) == 0 {
		delete(s.aws.made, s.newest)
	}
}

// spoil has EC2 refuse the snapshot in place, with which a node of one pool runs already, when the other needs a node.
func (s *simulation) spoil() {
	made := s.aws.made[snapshotIn(s.deviceOf(s.launches))]
	if made == nil {
		return
	}
	if claim := s.launch("a"); claim != "" && made.state == ebs.StateCompleted && !made.refused {
		s.must(s.player.Ready(s.Context(), claim))
	}
	made.refused = true
	s.launch("b")
	s.wait(2 * time.Minute)
	s.reconcile()
}

// Writers.

// revert has a program write its own list, with or without the device.
func (s *simulation) revert() {
	var own map[string]any
	if s.random.IntN(2) == 0 {
		own = volume(device, fmt.Sprintf("%dGi", 20+s.random.IntN(60)), "encrypted", true)
	}
	if s.derive { // what others write there is not theirs to keep
		if s.exists(s.launches) {
			s.writeList(s.launches, "terraform", s.listWith(s.others, own))
		}
		return
	}
	s.theirs = own
	s.writeList("gpu", "terraform", s.listWith(s.others, own))
}

func (s *simulation) listWith(others []any, own map[string]any) []any {
	devices := slices.Clone(others)
	if own != nil {
		devices = append(devices, own)
	}
	return devices
}

// campaign has it revert as often as it takes to make Larder stop.
func (s *simulation) campaign() {
	for range 5 {
		s.revert()
		s.reconcile()
		s.checkDevices()
	}
}

// editOther has a person edit another device in the live list.
func (s *simulation) editOther() {
	s.others = []any{volume("/dev/xvda", fmt.Sprintf("%dGi", 8+s.random.IntN(8)))}
	if s.random.IntN(2) == 0 {
		s.others = append(s.others, volume("/dev/xvdc", "5Gi", "futureField", "kept"))
	}
	s.edited = true
	s.writeList("gpu", "kubectl-edit", s.listWith(s.others, s.deviceOf("gpu")))
}

// reapply has somebody take the list over as it is.
func (s *simulation) reapply() { s.writeList("gpu", "kubectl-client-side-apply", s.devicesIn("gpu")) }

// editClass changes something of the class that drifts its nodes.
func (s *simulation) editClass() {
	s.counts["edits"]++
	s.edited = true
	s.edit("gpu", func(spec map[string]any) { spec["role"] = fmt.Sprint("nodes-", s.counts["edits"]) })
}

func (s *simulation) edit(name string, change func(spec map[string]any)) {
	class := s.get(classKind, name)
	change(class.Object["spec"].(map[string]any))
	s.must(s.client.Update(s.Context(), class, client.FieldOwner("kubectl-edit")))
}

func (s *simulation) writeList(name, manager string, devices []any) {
	class := s.get(classKind, name)
	s.must(unstructured.SetNestedSlice(class.Object, devices, "spec", "blockDeviceMappings"))
	s.must(s.client.Update(s.Context(), class, client.FieldOwner(manager)))
}

// recreate deletes the class of a pool without nodes, and makes it anew.
func (s *simulation) recreate() {
	if s.random.IntN(3) > 0 || !s.derive && len(s.claims()) > 0 {
		return
	}
	s.must(s.client.Delete(s.Context(), newClass()))
	s.settle()
	if s.exists("gpu") {
		return // nodes of it are left
	}
	s.theirs, s.others, s.edited = nil, []any{root}, true
	s.create(newClass(root))
}

// Nodes.

func (s *simulation) release() {
	s.counts["releases"]++
	s.player.SetAMIs("bottlerocket@latest", map[string]string{"amd64": fmt.Sprint("ami-", s.counts["releases"])})
	s.settle()
}

func (s *simulation) nodeComes() { s.launch([]string{"a", "b"}[s.random.IntN(2)]) }

// launch returns no name when Karpenter refuses.
func (s *simulation) launch(pool string) string {
	claim, err := s.player.Launch(s.Context(), pool)
	if err != nil && !errors.Is(err, karpenter.ErrRefused) {
		s.Fatal(err)
	}
	return claim
}

// grow has nodes come up in both pools, and stay for a while.
func (s *simulation) grow() {
	s.settle()
	s.launch("a")
	s.launch("b")
	s.nodesComeUp()
	s.reconcile()
	s.wait(15 * time.Minute)
	s.reconcile()
}

// replace has new AMIs replace every node, as far as the budgets allow.
func (s *simulation) replace() {
	s.release()
	for range 3 {
		s.reconcile()
		s.disrupt()
		s.nodesComeUp()
		s.disrupt()
	}
}

func (s *simulation) nodesComeUp() {
	for _, claim := range s.claims() {
		if isTrue(&claim, "Launched") && s.random.IntN(4) > 0 {
			s.must(s.player.Ready(s.Context(), claim.GetName()))
		}
	}
}

func (s *simulation) nodeGoes() {
	if claims := s.claims(); len(claims) > 0 {
		s.must(s.client.Delete(s.Context(), &claims[s.random.IntN(len(claims))]))
		s.settle()
	}
}

func (s *simulation) settle() { s.must(s.player.Settle(s.Context())) }

func (s *simulation) disrupt() {
	s.settle()
	round, err := s.player.Disrupt(s.Context())
	s.must(err)
	s.reached["node replaced"] += len(round.Finished)
	s.settle()
}

func (s *simulation) budget() {
	budgets := []any{
		map[string]any{"nodes": "0"},
		map[string]any{"nodes": "0%", "reasons": []any{"Drifted"}},
		map[string]any{"nodes": "0", "reasons": []any{"Empty"}},
		map[string]any{"nodes": "100%"},
		map[string]any{"nodes": "0", "schedule": "@daily", "duration": "1h"},
	}
	pool := s.get(poolKind, []string{"a", "b"}[s.random.IntN(2)])
	disruption := map[string]any{"budgets": []any{budgets[s.random.IntN(len(budgets))]}}
	s.must(unstructured.SetNestedMap(pool.Object, disruption, "spec", "disruption"))
	s.must(s.client.Update(s.Context(), pool, client.FieldOwner("kubectl-edit")))
}

// The rollout.

func (s *simulation) timePasses() { s.wait(time.Duration(1+s.random.IntN(120)) * time.Minute) }

func (s *simulation) pause() {
	paused := s.random.IntN(3) == 0
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = paused })
}

func (s *simulation) window() {
	var window *v1alpha1.RolloutWindow
	if s.random.IntN(2) == 0 {
		window = &v1alpha1.RolloutWindow{Schedule: "0 */6 * * *", Duration: metav1.Duration{Duration: time.Hour}, TimeZone: "UTC"}
	}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Window = window })
}

func (s *simulation) minInterval() {
	var least *metav1.Duration
	if s.random.IntN(2) == 0 {
		least = &metav1.Duration{Duration: time.Duration(1+s.random.IntN(180)) * time.Minute}
	}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.MinInterval = least })
}

func (s *simulation) ask() {
	if s.random.IntN(3) > 0 {
		return
	}
	b := s.binding()
	s.counts["requests"]++
	b.Annotations = map[string]string{v1alpha1.AnnotationApplyNow: fmt.Sprint(s.counts["requests"])}
	s.must(s.client.Update(s.Context(), b))
}

// The operator.

func (s *simulation) reconcile() { s.guarded(func() { s.note(s.passes("b")) }) }

// crash ends the operator at one of its requests, before or after it had its effect.
func (s *simulation) crash() {
	left := s.random.IntN(7)
	die := func(string, any) error {
		if left--; left < 0 {
			return errTrouble
		}
		return nil
	}
	if s.random.IntN(2) == 0 {
		s.fail = die
	} else {
		s.world.lose = die
	}
	s.guarded(func() {
		if _, err := s.pass("b"); errors.Is(err, errTrouble) {
			s.reached["crashed"]++
		}
	})
	s.fail, s.world.lose = nil, nil
	s.startOperator()
}

// note counts what was reached, over all seeds.
func (s *simulation) note(b *v1alpha1.NodeClassBinding) {
	if b == nil {
		return
	}
	if !b.DeletionTimestamp.IsZero() {
		s.reached["deletion waited"]++
	}
	for _, condition := range b.Status.Conditions {
		if condition.Type == v1alpha1.ConditionApplied || condition.Type == v1alpha1.ConditionStalled {
			s.reached[condition.Reason]++
		}
	}
	if targets.Describe(b, v1alpha1.ConditionApplied) == "True Applied" {
		s.reached["applied"]++
	}
	if b.Status.LastKnownGoodProven {
		s.reached["proven"]++
	}
}
