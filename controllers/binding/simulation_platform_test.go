package binding_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
)

const platformSteps = 40

// TestSimulationOfAPlatform drives a binding through random histories of a platform that takes its time: updates succeed,
// fail, are taken back and are not, somebody else updates it, snapshots come and are bad, the rollout changes, the operator
// dies. After every pass the promises must hold; at the end the newest snapshot has to arrive, and then the target is given
// back.
func TestSimulationOfAPlatform(t *testing.T) {
	reached := map[string]int{}
	for seed := range uint64(simulatedSeeds) {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := &platformSimulation{plant: newPlant(t), random: rand.New(rand.NewPCG(seed, 2)), reached: reached}
			s.run()
		}) {
			return
		}
	}
	if simulatedSeeds < 100 {
		return // too few to reach everything
	}
	for _, one := range []string{"UpdateInProgress", "UpdateFailed", "RolledBack", "RivalWriter", "Paused", "WaitingForWindow", "crashed", "proven", "taken back", "asked while busy"} {
		if reached[one] == 0 {
			t.Errorf("no seed reached %q, so the simulation says nothing about it: %v", one, reached)
		}
	}
}

type platformSimulation struct {
	*plant
	random    *rand.Rand
	reached   map[string]int
	snapshots int
	requests  int
}

func (s *platformSimulation) run() {
	steps := []func(){
		s.renew, s.renew, s.renewBadly, s.spoil, s.fortune, s.fortune, s.somebody, s.takeBack,
		s.timePasses, s.timePasses, s.timePasses, s.pause, s.window, s.request, s.edit,
		s.pass, s.pass, s.pass, s.pass, s.pass, s.pass, s.pass, s.pass, s.crash, s.restartPlant,
	}
	s.renew()
	for range platformSteps {
		steps[s.random.IntN(len(steps))]()
	}
	s.converge()
	s.end()
}

func (s *platformSimulation) renew() {
	s.snapshots++
	s.wanted = fmt.Sprintf("snap-%d", s.snapshots)
	s.usable[s.wanted] = true
}

func (s *platformSimulation) renewBadly() {
	s.renew()
	s.sick[s.wanted] = true
}

// spoil has nodes fail with what runs, unless that is not Larder's.
func (s *platformSimulation) spoil() {
	if s.runs != theirs && s.random.IntN(3) == 0 {
		s.sick[s.runs] = true
	}
}

// fortune says what becomes of the updates to come.
func (s *platformSimulation) fortune() {
	s.fails, s.stuck = s.random.IntN(2) == 0, s.random.IntN(3) == 0
}

// somebody updates something else of the plant.
func (s *platformSimulation) somebody() {
	if !s.working() {
		s.work()
		s.begin(s.runs, "ann")
	}
}

// takeBack has somebody else update the plant to what it was before Larder.
func (s *platformSimulation) takeBack() {
	for range 1 + s.random.IntN(4) {
		if !s.working() {
			s.begin(theirs, "terraform")
			s.reached["taken back"]++
		}
		s.wait(updateTime)
		s.pass()
		s.wait(updateTime)
	}
}

func (s *platformSimulation) timePasses() { s.wait(time.Duration(1+s.random.IntN(90)) * time.Minute) }

func (s *platformSimulation) pause() {
	paused := s.random.IntN(3) == 0
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = paused })
}

func (s *platformSimulation) window() {
	var window *v1alpha1.RolloutWindow
	if s.random.IntN(2) == 0 {
		window = &v1alpha1.RolloutWindow{Schedule: "0 */6 * * *", Duration: metav1.Duration{Duration: 2 * time.Hour}, TimeZone: "UTC"}
	}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Window = window })
}

func (s *platformSimulation) request() {
	s.requests++
	if s.ask(fmt.Sprint(s.requests)); s.working() {
		s.reached["asked while busy"]++
	}
}

func (s *platformSimulation) edit() {
	size := quantity(fmt.Sprintf("%dGi", 40+s.random.IntN(40)))
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Target.EC2NodeClass.Device.VolumeSize = size })
}

func (s *platformSimulation) pass() {
	s.guarded(func() {
		b := s.look()
		if b == nil {
			return
		}
		if s.next == 0 {
			s.Fatalf("nobody looks again: %+v", b.Status)
		}
		for _, condition := range b.Status.Conditions {
			if condition.Type == v1alpha1.ConditionApplied || condition.Type == v1alpha1.ConditionStalled {
				s.reached[condition.Reason]++
			}
		}
		if b.Status.LastKnownGoodProven {
			s.reached["proven"]++
		}
	})
}

// crash ends the operator at one of its requests, or right after it asked the platform.
func (s *platformSimulation) crash() {
	left := s.random.IntN(6)
	s.fail = func(string, any) error {
		if left--; left < 0 {
			return errTrouble
		}
		return nil
	}
	if s.random.IntN(2) == 0 {
		s.fail, s.lost = nil, errTrouble
	}
	s.guarded(func() {
		if _, err := s.passNow("b"); errors.Is(err, errTrouble) {
			s.reached["crashed"]++
		} else if err != nil && !errors.Is(err, reconcile.TerminalError(nil)) {
			s.Fatal(err)
		}
	})
	s.fail, s.lost = nil, nil
	s.restartPlant()
}

// guarded makes a pass, and holds what it asked the platform for against what the user agreed to. That no two updates are
// under way at once, and that nothing is asked for while somebody else's is, the plant itself holds.
func (s *platformSimulation) guarded(pass func()) {
	s.work()
	before, last, asked := s.stored(), s.last, len(s.asked)
	pass()
	if len(s.asked) == asked {
		return
	}
	to := s.asked[asked]
	switch request := before.Annotations[v1alpha1.AnnotationApplyNow]; {
	case len(s.asked) > asked+1:
		s.Fatalf("one pass asks for %v", s.asked[asked:])
	case before.Spec.Rollout.Paused:
		s.Fatalf("rollout.paused, and %s is asked for", to)
	case request != before.Status.LastHandledApplyNow:
	case to == before.Status.RejectedSnapshotID:
		s.Fatalf("%s is asked for again, which was taken back", to)
	case before.Spec.Rollout.Window != nil && s.clock.Now().UTC().Hour()%6 >= 2 && !s.sick[s.runs]:
		s.Fatalf("%s is asked for outside of the window", to)
	case before.Generation != before.Status.ObservedGeneration, before.Status.AppliedTime == nil:
	case last != nil && last.other == "" && last.fails && last.to == to:
		s.Fatalf("%s is asked for again by itself, though that failed", to)
	}
}

func (s *platformSimulation) stored() *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{}
	if err := s.client.Get(s.Context(), client.ObjectKey{Name: "b"}, b); err != nil {
		s.Fatal(err)
	}
	return b
}

// converge takes every obstacle away: then the newest snapshot has to arrive.
func (s *platformSimulation) converge() {
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused, spec.Rollout.Window = false, nil })
	s.fails, s.stuck, s.sick = false, false, map[string]bool{}
	s.renew()
	for range 20 {
		s.pass()
		s.wait(s.next)
		if b := s.stored(); s.runs == s.wanted && b.Status.LastKnownGoodSnapshotID == s.wanted && b.Status.LastKnownGoodProven {
			return
		}
		s.wait(30 * time.Minute)
	}
	s.Fatalf("the newest snapshot, %s, never arrives: %s runs, %+v\n%+v", s.wanted, s.runs, s.last, s.stored().Status)
}

// end deletes the binding.
func (s *platformSimulation) end() {
	s.delete(newBinding("b", ""))
	for range 200 { // one each half minute
		b := s.look()
		if b == nil {
			break
		}
		s.wait(s.next)
	}
	s.work()
	if s.runs != theirs {
		s.Errorf("not given back: %s runs", s.runs)
	}
	if b, _ := s.passNow("b"); b != nil {
		s.Errorf("the binding is still there: %+v", b.Status)
	}
}
