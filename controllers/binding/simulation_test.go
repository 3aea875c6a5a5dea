package binding_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
)

const (
	simulationSeeds = 100
	simulationSteps = 40
)

// TestSimulation drives one binding through a random history: snapshots come, rivals and people write, nodes come and go,
// the operator dies in the middle. After every step the promises must hold, and at the end the class is given back.
func TestSimulation(t *testing.T) {
	reached := map[string]int{}
	for seed := range uint64(simulationSeeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newSimulation(t, seed, reached).run() })
	}
	for _, step := range []string{"applied", "staged", "rival stopped", "crashed", "spared"} {
		if reached[step] == 0 {
			t.Errorf("no seed reached %q, so the simulation says nothing about it", step)
		}
	}
}

type simulation struct {
	*world
	random  *rand.Rand
	reached map[string]int
	// others is what everybody but Larder wrote last to the devices that are not the binding's.
	others []any
	// theirs is the device as somebody else wrote it last; nil for none.
	theirs      map[string]any
	snapshotGiB int64
	snapshots   int
	claims      []string
	nextClaim   int
	strategy    v1alpha1.RolloutStrategy
}

func newSimulation(t *testing.T, seed uint64, reached map[string]int) *simulation {
	s := &simulation{reached: reached, random: rand.New(rand.NewPCG(seed, 1)), strategy: v1alpha1.RolloutRoll}
	s.others = []any{root}
	devices := []any{root}
	if s.random.IntN(2) == 0 {
		s.theirs = volume(device, "30Gi", "encrypted", true)
		devices = append(devices, s.theirs)
	}
	if s.random.IntN(2) == 0 {
		s.strategy = v1alpha1.RolloutNewNodesOnly
	}
	s.world = newWorld(t, newSnapshot("", ""), newClass(devices...), newBinding("b", s.strategy))
	return s
}

func (s *simulation) run() {
	steps := []func(){s.renew, s.revert, s.editOther, s.reapply, s.nodeComes, s.nodeGoes, s.nodeGoes, s.reconcile, s.reconcile,
		s.reconcile, s.crash, s.restart, s.switchStrategy, s.campaign}
	for range simulationSteps {
		steps[s.random.IntN(len(steps))]()
		s.checkPromises()
	}
	s.delete(newBinding("b", ""))
	for range 2 {
		if b := s.guardedPass(); b == nil {
			break
		}
		for len(s.claims) > 0 {
			s.nodeGoes()
		}
	}
	s.checkRestored()
}

// note counts what was reached, over all seeds.
func (s *simulation) note(b *v1alpha1.NodeClassBinding) {
	switch {
	case b == nil:
	case !b.DeletionTimestamp.IsZero():
		s.reached["spared"]++
	case describe(b, v1alpha1.ConditionApplied) == "True Applied":
		s.reached["applied"]++
	case describe(b, v1alpha1.ConditionApplied) == "False NodesWouldBeReplaced":
		s.reached["staged"]++
	case describe(b, v1alpha1.ConditionStalled) == "True RivalWriter":
		s.reached["rival stopped"]++
	}
}

func (s *simulation) renew() {
	s.snapshots++
	s.snapshotGiB = int64(8 * (1 + s.random.IntN(8)))
	s.setSnapshot(fmt.Sprintf("snap-%d", s.snapshots), fmt.Sprintf("%dGi", s.snapshotGiB))
}

// revert has a program write its own list, with or without the device.
func (s *simulation) revert() {
	s.theirs = nil
	if s.random.IntN(2) == 0 {
		s.theirs = volume(device, fmt.Sprintf("%dGi", 20+s.random.IntN(60)), "encrypted", true)
	}
	s.write("terraform")
}

// write keeps the device as it is in theirs.
func (s *simulation) write(manager string) {
	devices := append([]any{}, s.others...)
	if s.theirs != nil {
		devices = append(devices, s.theirs)
	}
	s.writeDevices(manager, devices)
}

// editOther has a person edit another device in the live list.
func (s *simulation) editOther() {
	s.others = []any{volume("/dev/xvda", fmt.Sprintf("%dGi", 8+s.random.IntN(8)))}
	if s.random.IntN(2) == 0 {
		s.others = append(s.others, volume("/dev/xvdc", "5Gi", "futureField", "kept"))
	}
	devices := append([]any{}, s.others...)
	if live := s.device(); live != nil {
		devices = append(devices, live)
	}
	s.writeDevices("kubectl-edit", devices)
}

// reapply has a person take the list over as it is.
func (s *simulation) reapply() { s.writeDevices("kubectl-client-side-apply", s.devices()) }

func (s *simulation) nodeComes() {
	s.nextClaim++
	name := fmt.Sprint("n", s.nextClaim)
	s.claims = append(s.claims, name)
	s.create(newClaim(name, "gpu"))
}

func (s *simulation) nodeGoes() {
	if len(s.claims) == 0 {
		return
	}
	s.delete(newClaim(s.claims[0], "gpu"))
	s.claims = s.claims[1:]
}

func (s *simulation) switchStrategy() {
	if s.random.IntN(3) > 0 {
		return
	}
	if s.strategy == v1alpha1.RolloutRoll {
		s.strategy = v1alpha1.RolloutNewNodesOnly
	} else {
		s.strategy = v1alpha1.RolloutRoll
	}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Strategy = s.strategy })
}

func (s *simulation) reconcile() { s.guardedPass() }

// crash ends the operator at one of its requests, before or after it had its effect.
func (s *simulation) crash() {
	left := s.random.IntN(5)
	die := func(string, any) error {
		if left--; left < 0 {
			return errTrouble
		}
		return nil
	}
	if s.random.IntN(2) == 0 {
		s.fail = die
	} else {
		s.lose = die
	}
	before := s.devices()
	if _, err := s.pass("b"); errors.Is(err, errTrouble) {
		s.reached["crashed"]++
	}
	s.fail, s.lose = nil, nil
	s.checkSpared(before)
	s.restart()
}

// campaign has a program revert as often as it takes to make Larder stop.
func (s *simulation) campaign() {
	for range 4 {
		s.revert()
		s.guardedPass()
		s.checkPromises()
	}
}

func (s *simulation) guardedPass() *v1alpha1.NodeClassBinding {
	before := s.devices()
	b := s.passes("b")
	s.checkSpared(before)
	s.note(b)
	return b
}

// checkSpared holds the promise that no node is replaced that the user did not agree to.
func (s *simulation) checkSpared(before []any) {
	if s.strategy == v1alpha1.RolloutNewNodesOnly && len(s.claims) > 0 && !reflect.DeepEqual(before, s.devices()) {
		s.Fatalf("%d nodes run, NewNodesOnly spares them, and the devices changed:\n%v\n%v", len(s.claims), before, s.devices())
	}
}

func (s *simulation) checkPromises() {
	var others []any
	for _, entry := range s.devices() {
		if entry.(map[string]any)["deviceName"] != device {
			others = append(others, entry)
		}
	}
	if !reflect.DeepEqual(others, s.others) {
		s.Fatalf("another device changed:\ngot  %v\nwant %v", others, s.others)
	}
	live := s.device()
	if live == nil {
		return
	}
	ebs := live["ebs"].(map[string]any)
	size, err := resource.ParseQuantity(fmt.Sprint(ebs["volumeSize"]))
	if err != nil {
		s.Fatalf("no volumeSize: %v", ebs)
	}
	if ebs["snapshotID"] == fmt.Sprintf("snap-%d", s.snapshots) && size.Value()>>30 < s.snapshotGiB {
		s.Fatalf("the volume has %s, and its snapshot %d GiB", size.String(), s.snapshotGiB)
	}
}

func (s *simulation) checkRestored() {
	err := s.client.Get(context.Background(), client.ObjectKey{Name: "b"}, &v1alpha1.NodeClassBinding{})
	if client.IgnoreNotFound(err) != nil || err == nil {
		s.Fatalf("the binding is still there: %v", err)
	}
	s.checkPromises()
	if got := s.device(); !reflect.DeepEqual(got, s.theirs) {
		s.Errorf("not given back:\ngot  %v\nwant %v", got, s.theirs)
	}
	checkNoTrace(s.world)
}
