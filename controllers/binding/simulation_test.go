package binding_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/test/karpenter"
	"github.com/larder-dev/larder/test/targets"
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
	s.client = targets.Stamp(s.client, s.clock)
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
		if targets.Describe(b, v1alpha1.ConditionReady) == "True Ready" && b.Status.AppliedSnapshotID == s.newest && snapshotIn(s.deviceOf(s.launches)) == s.newest {
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
