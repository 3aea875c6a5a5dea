package targets_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/targets"
)

// promisesOfECS hold after whatever happened: nothing of the owner's is lost, and nothing was deployed twice.
func promisesOfECS(rollouts int) func(*targets.World) {
	return func(world *targets.World) {
		w := inECS(world)
		w.Helper()
		if left := w.Binding("models"); left != nil {
			w.Errorf("the binding is still there: %+v", left.Status)
		}
		w.wantFormer("after all")
		w.wantNoTags("after all")
		if got := w.rollouts(); got != rollouts {
			w.Errorf("the service was deployed %d times, want %d", got, rollouts)
		}
	}
}

func TestECSServiceSurvivesEveryCrash(t *testing.T) {
	targets.EveryCrash(t, ecsOptions, func(world *targets.World) {
		w := inECS(world)
		w.createService()
		w.Renew(v1alpha1.FormatFiles)
		w.bind()
		w.Settle("models")
		w.Renew(v1alpha1.FormatFiles)
		w.Settle("models")
		w.Unbind("models")
		w.Settle("models")
	}, promisesOfECS(4))
}

func TestECSServiceSurvivesEveryCrashOnTheWayBack(t *testing.T) {
	targets.EveryCrash(t, ecsOptions, func(world *targets.World) {
		w := inECS(world)
		w.createService(withoutBreaker)
		w.Renew(v1alpha1.FormatFiles)
		w.bind(func(b *v1alpha1.NodeClassBinding) { // ECS would try for half an hour, each of a hundred times
			b.Spec.Rollout.Rollback.After = &metav1.Duration{Duration: 5 * time.Minute}
		})
		w.Settle("models")
		w.renewBadly()
		w.Settle("models")
		w.Unbind("models")
		w.Settle("models")
	}, promisesOfECS(5))
}

func TestECSServiceSurvivesEveryCrashWithABadFirstSnapshot(t *testing.T) {
	targets.EveryCrash(t, ecsOptions, func(world *targets.World) {
		w := inECS(world)
		w.createService()
		w.renewBadly()
		w.bind()
		w.Settle("models")
		w.Unbind("models")
		w.Settle("models")
	}, promisesOfECS(2))
}
