package binding_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/karpenter"
)

const simulationSteps = 30

// TestSimulation drives one binding through random histories, beside what Karpenter does: snapshots come, fail and get lost,
// rivals and people write, AMIs are released, nodes come, fail, drift and go, budgets and the rollout change, the operator
// dies in the middle. After every step the promises must hold; at the end the newest snapshot has to arrive, and then the
// class is given back.
func TestSimulation(t *testing.T) {
	for _, derive := range []bool{false, true} {
		for _, strategy := range []v1alpha1.RolloutStrategy{v1alpha1.RolloutWithNextDrift, v1alpha1.RolloutNewNodesOnly, v1alpha1.RolloutRoll} {
			name := string(strategy) + " in place"
			if derive {
				name = string(strategy) + " derived"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				reached := map[string]int{}
				for seed := range uint64(simulatedSeeds) {
					if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newSimulation(t, seed, derive, strategy, reached).run() }) {
						return
					}
				}
				expectReached(t, strategy, derive, reached)
			})
		}
	}
}

func expectReached(t *testing.T, strategy v1alpha1.RolloutStrategy, derive bool, reached map[string]int) {
	wanted := []string{"applied", "RivalWriter", "RolledBack", "Paused", "crashed", "proven", "node replaced", "deletion waited"}
	switch strategy {
	case v1alpha1.RolloutWithNextDrift:
		wanted = append(wanted, "WaitingForDrift", "NoWayBack")
	case v1alpha1.RolloutNewNodesOnly:
		wanted = append(wanted, "NodesWouldBeReplaced", "WaitingForWindow", "NoWayBack")
	case v1alpha1.RolloutRoll:
		wanted = append(wanted, "WaitingForWindow")
		if !derive { // a derived class waits for the pools that name it
			wanted = slices.DeleteFunc(wanted, func(one string) bool { return one == "deletion waited" })
		}
	}
	if simulatedSeeds < 100 {
		return // too few to reach everything
	}
	for _, one := range wanted {
		if reached[one] == 0 {
			t.Errorf("no seed reached %q, so the simulation says nothing about it: %v", one, reached)
		}
	}
}

type simulation struct {
	*world
	aws      account
	player   *karpenter.Player
	random   *rand.Rand
	reached  map[string]int
	derive   bool
	strategy v1alpha1.RolloutStrategy
	// launches is the class that nodes are launched from.
	launches string
	// others is what everybody but Larder wrote last to the devices of the class that are not the binding's.
	others []any
	// theirs is the device as somebody else wrote it last; nil for none.
	theirs map[string]any
	newest string
	// edited tells that the class changed since another was derived from it: to bring that one in step drifts nodes as its
	// owner wants.
	edited bool
	counts map[string]int
}

func newSimulation(t *testing.T, seed uint64, derive bool, strategy v1alpha1.RolloutStrategy, reached map[string]int) *simulation {
	s := &simulation{world: newWorld(t), reached: reached, random: rand.New(rand.NewPCG(seed, 1)), derive: derive, strategy: strategy,
		launches: "gpu", aws: account{map[string]*madeSnapshot{}}, others: []any{root}, counts: map[string]int{}}
	s.client = stamped(s.world)
	devices := []any{root}
	if s.random.IntN(2) == 0 {
		s.theirs = volume(device, "30Gi", "encrypted", true)
		devices = append(devices, s.theirs)
	}
	b := newBinding("b", strategy)
	if derive {
		s.launches = "gpu-larder"
		b.Spec.Target.EC2NodeClass.Derive = &v1alpha1.DerivedNodeClass{Name: s.launches}
	}
	for _, object := range []client.Object{newSnapshot("", ""), newClass(devices...), b, newLaunchingPool("a", s.launches), newLaunchingPool("b", s.launches)} {
		s.create(object)
	}
	s.startKarpenter()
	s.startOperator()
	return s
}

func newLaunchingPool(name, class string) *unstructured.Unstructured {
	pool := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"nodeClassRef": map[string]any{"group": classKind.Group, "kind": classKind.Kind, "name": class},
		"requirements": []any{map[string]any{"key": "kubernetes.io/arch", "operator": "In", "values": []any{"amd64"}}},
	}}}}}
	pool.SetGroupVersionKind(poolKind)
	pool.SetName(name)
	return pool
}

func (s *simulation) startKarpenter() {
	s.player = &karpenter.Player{Client: s.client, Clock: s.clock, Usable: s.aws.launches}
}

func (s *simulation) startOperator() {
	s.restart()
	s.reconciler.Source.(*binding.SnapshotSource).Snapshots = s.aws
}

func (s *simulation) run() {
	steps := []func(){
		s.renew, s.renew, s.renewBadly, s.lose, s.spoil, s.revert, s.campaign, s.editOther, s.reapply, s.editClass, s.release, s.recreate,
		s.nodeComes, s.nodeComes, s.nodesComeUp, s.nodesComeUp, s.nodeGoes, s.grow, s.grow, s.settle, s.disrupt, s.replace, s.budget,
		s.timePasses, s.timePasses, s.pause, s.window, s.minInterval, s.ask,
		s.reconcile, s.reconcile, s.reconcile, s.reconcile, s.reconcile, s.reconcile, s.crash, s.startOperator, s.startKarpenter,
	}
	for range simulationSteps {
		steps[s.random.IntN(len(steps))]()
		s.checkDevices()
	}
	s.converge()
	s.end()
}

// Snapshots.

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
	if describe(b, v1alpha1.ConditionApplied) == "True Applied" {
		s.reached["applied"]++
	}
	if b.Status.LastKnownGoodProven {
		s.reached["proven"]++
	}
}

// What holds after each step.

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

// How it ends.

// converge takes every obstacle away: then the newest snapshot has to reach the class and all nodes.
func (s *simulation) converge() {
	if !s.exists("gpu") {
		s.create(newClass(root))
		s.theirs, s.others = nil, []any{root}
	}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Rollout.Paused, spec.Rollout.Window, spec.Rollout.MinInterval = false, nil, nil
	})
	s.renew()
	for range 40 {
		s.clearNodes()
		s.reconcile()
		s.checkDevices()
		s.settle()
		b := s.binding()
		if describe(b, v1alpha1.ConditionReady) == "True Ready" && b.Status.AppliedSnapshotID == s.newest && snapshotIn(s.deviceOf(s.launches)) == s.newest {
			return
		}
	}
	b := s.binding()
	s.Fatalf("the newest snapshot, %s, never arrives: %v\n%+v", s.newest, s.deviceOf(s.launches), b.Status)
}

func (s *simulation) clearNodes() {
	for _, claim := range s.claims() {
		s.must(client.IgnoreNotFound(s.client.Delete(s.Context(), &claim)))
	}
	s.settle()
}

// end deletes the binding, first while nodes run.
func (s *simulation) end() {
	s.nodeComes()
	s.nodesComeUp()
	s.must(s.client.Delete(s.Context(), newBinding("b", "")))
	for range 3 {
		if s.binding() == nil {
			break
		}
		s.reconcile()
		s.checkDevices()
	}
	s.clearNodes()
	for _, pool := range []string{"a", "b"} {
		s.must(s.client.Delete(s.Context(), newLaunchingPool(pool, "")))
	}
	for range 3 {
		if s.binding() != nil {
			s.reconcile()
			s.settle()
		}
	}
	if b := s.binding(); b != nil {
		s.Fatalf("the binding is still there: %+v", b.Status)
	}
	s.checkDevices()
	if got := s.deviceOf("gpu"); !reflect.DeepEqual(got, s.theirs) {
		s.Errorf("not given back:\ngot  %v\nwant %v", got, s.theirs)
	}
	if s.derive && s.exists(s.launches) {
		s.Errorf("the derived class is left")
	}
	checkNoTrace(s.world)
}

// Reading.

// binding returns nil when it is gone.
func (s *simulation) binding() *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{}
	if err := s.client.Get(context.Background(), client.ObjectKey{Name: "b"}, b); err != nil {
		s.must(client.IgnoreNotFound(err))
		return nil
	}
	return b
}

func (s *simulation) exists(class string) bool {
	found, err := stored(s.Context(), s.client, classKind, class)
	s.must(err)
	return found != nil && found.GetDeletionTimestamp() == nil
}

func (s *simulation) devicesIn(class string) []any {
	devices, _, err := unstructured.NestedSlice(s.get(classKind, class).Object, "spec", "blockDeviceMappings")
	s.must(err)
	return devices
}

// deviceOf returns the binding's device of a class; nil when there is none.
func (s *simulation) deviceOf(class string) map[string]any {
	if !s.exists(class) {
		return nil
	}
	for _, entry := range s.devicesIn(class) {
		if entry := entry.(map[string]any); entry["deviceName"] == device {
			return entry
		}
	}
	return nil
}

func snapshotIn(device map[string]any) string {
	id, _, _ := unstructured.NestedString(device, "ebs", "snapshotID")
	return id
}

func sizeIn(s *simulation, device map[string]any) int64 {
	text, _, err := unstructured.NestedString(device, "ebs", "volumeSize")
	s.must(err)
	var gib int64
	if _, err := fmt.Sscanf(text, "%dGi", &gib); err != nil {
		s.Fatalf("no volumeSize in GiB: %v", device)
	}
	return gib
}

func (s *simulation) claims() []unstructured.Unstructured {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(claimKind.GroupVersion().WithKind("NodeClaimList"))
	s.must(s.client.List(s.Context(), list))
	return list.Items
}

// leaving are the NodeClaims that drift or are being deleted.
func (s *simulation) leaving() map[string]bool {
	leaving := map[string]bool{}
	for _, claim := range s.claims() {
		leaving[claim.GetName()] = claim.GetDeletionTimestamp() != nil || isTrue(&claim, "Drifted")
	}
	return leaving
}

// holds tells whether a pool's budgets keep it from ever replacing a drifted node.
func (s *simulation) holds(pool string) bool {
	budgets, _, err := unstructured.NestedSlice(s.get(poolKind, pool).Object, "spec", "disruption", "budgets")
	s.must(err)
	for _, budget := range budgets {
		budget := budget.(map[string]any)
		reasons, _ := budget["reasons"].([]any)
		if (budget["nodes"] == "0" || budget["nodes"] == "0%") && budget["schedule"] == nil && (reasons == nil || slices.Contains(reasons, any("Drifted"))) {
			return true
		}
	}
	return false
}

func isTrue(claim *unstructured.Unstructured, condition string) bool {
	conditions, _, _ := unstructured.NestedSlice(claim.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(one any) bool {
		fields := one.(map[string]any)
		return fields["type"] == condition && fields["status"] == "True"
	})
}

func (s *simulation) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
