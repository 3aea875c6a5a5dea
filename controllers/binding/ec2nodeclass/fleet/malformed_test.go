package fleet_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

// TestMalformed damages classes, NodeClaims and NodePools at random: nothing panics, and no count contradicts another.
func TestMalformed(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		class := newClass(unvalidated(time.Second)...)
		claims := items(newClaim("1"), newClaim("2", created(time.Minute), says("Ready=False x", 0)), launchFailed("3", "x"), newClaim("4", deleted))
		pools := items(newPool("a", says("NodeRegistrationHealthy=False LaunchFailed", 16*time.Minute)), newPool("b"))
		before := claims[0].DeepCopy()
		for range 1 + r.IntN(4) {
			all := []*unstructured.Unstructured{class, &claims[0], &claims[1], &claims[2], &claims[3], &pools[0], &pools[1]}
			object := all[r.IntN(len(all))]
			object.Object, _ = damage(r, object.Object).(map[string]any)
		}
		f := fleet.Of("gpu", class, claims, pools)
		running := 0
		for _, pool := range f.Pools(applied) {
			running += pool.Current + pool.Outdated
			if pool.Staying > pool.Current+pool.Outdated || pool.Staying < 0 {
				t.Errorf("seed %d: more stay than there are: %+v", seed, pool)
			}
		}
		health := f.Health(applied, after, applied.Add(20*time.Minute))
		if running > len(claims) || health.Working+health.Broken > running || health.Proven && health.Failure != nil || health.RetryAfter < 0 {
			t.Errorf("seed %d: %d nodes run, and their health is %+v", seed, running, health)
		}
		fleet.ClaimChanged(before, &claims[0])
		fleet.PoolChanged(&pools[1], &pools[0])
	}
}

// damage returns the value with one thing in it missing, or of another kind.
func damage(r *rand.Rand, value any) any {
	strange := []any{nil, "", "x", int64(-1), 1.5, true, []any{}, []any{nil}, []any{map[string]any{}}, map[string]any{}, map[string]any{"x": nil}}
	if r.IntN(6) > 0 {
		switch value := value.(type) {
		case map[string]any:
			if len(value) > 0 {
				keys := slices.Sorted(maps.Keys(value)) // the same for a seed every time
				key := keys[r.IntN(len(keys))]
				value[key] = damage(r, value[key])
				return value
			}
		case []any:
			if len(value) > 0 {
				i := r.IntN(len(value))
				value[i] = damage(r, value[i])
				return value
			}
		}
	}
	return strange[r.IntN(len(strange))]
}

func TestOfNothing(t *testing.T) {
	var f fleet.Fleet
	if pools := f.Pools(applied); pools != nil {
		t.Errorf("the zero value runs nothing, got %v", pools)
	}
	if health := f.Health(applied, after, applied); health != (binding.Health{}) {
		t.Errorf("nothing is known of the zero value, got %+v", health)
	}
	f = fleet.Of("gpu", nil, items(newClaim("1"), newClaim("2", created(0))), items(newPool("a")))
	if pools := f.Pools(applied); len(pools) != 1 || pools[0].Staying != 2 || pools[0].Current != 1 {
		t.Errorf("nodes of a class that is gone stay, and are told by time, got %+v", pools)
	}
}
