package lifecycle

import (
	"net/http"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

// TestRegistryAnswers has a registry refuse the check of an object that is served: each answer has a reason of its own,
// is asked about again when that makes sense, and takes nothing away.
func TestRegistryAnswers(t *testing.T) {
	cases := map[string]struct {
		reason string
		effect registry.Effect
		want   string
		// quiet is how long the registry is left alone at least, and healed when it is asked again at the latest.
		quiet, healed time.Duration
	}{
		"401":                  {"nobody is logged in", registry.Refuse(http.StatusUnauthorized), v1alpha1.ReasonUnauthorized, 9 * time.Minute, 11 * time.Minute},
		"403":                  {"somebody else may", registry.Refuse(http.StatusForbidden), v1alpha1.ReasonForbidden, 9 * time.Minute, 11 * time.Minute},
		"404":                  {"the tag is gone", registry.Refuse(http.StatusNotFound), v1alpha1.ReasonImageNotFound, 9 * time.Minute, 11 * time.Minute},
		"429 with Retry-After": {"it says when", refuseFor("3600"), v1alpha1.ReasonTooManyRequests, time.Hour, 61 * time.Minute},
		"503":                  {"it passes by itself", registry.Refuse(http.StatusServiceUnavailable), v1alpha1.ReasonRegistryError, 0, time.Minute},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{aws: fakeaws.Options{}})
			w.create("answers", v1alpha1.ImageCacheSnapshotSpec{Images: imagesOf(w.push("app:latest", app("1"))), VolumeSize: smallest})
			w.untilRevision("answers", 1)
			w.registry.Inject(registry.Fault{Path: "/manifests/", Effect: tc.effect})
			told := w.untilCondition("answers", v1alpha1.ConditionImagesResolved, tc.want)
			wantParts(t, told.Message, "spec.images[0]", "/app:latest")
			if object := w.object("answers"); !meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady) || object.Status.Revision != 1 {
				t.Errorf("%s: what there is serves no longer: %+v", tc.reason, object.Status.Conditions)
			}
			refused := w.clock.Now()
			w.registry.ForgetRequests()
			w.registry.Heal()
			w.push("app:latest", app("2"))
			for len(w.registry.Requests()) == 0 {
				w.step()
			}
			if waited := w.clock.Now().Sub(refused); waited < tc.quiet || waited > tc.healed {
				t.Errorf("%s: asked again after %s, want %s to %s", tc.reason, waited, tc.quiet, tc.healed)
			}
			w.untilRevision("answers", 2)
			w.delete("answers")
			w.until("answers", "gone", func(object *v1alpha1.ImageCacheSnapshot) bool { return object.Name == "" })
		})
	}
}

// refuseFor asks to wait for so many seconds.
func refuseFor(seconds string) registry.Effect {
	refuse := registry.Refuse(http.StatusTooManyRequests)
	return func(response http.ResponseWriter, request *http.Request, store http.Handler) {
		response.Header().Set("Retry-After", seconds)
		refuse(response, request, store)
	}
}
