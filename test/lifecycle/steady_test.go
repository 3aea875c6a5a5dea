package lifecycle

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

// TestSteadyDay counts what two objects cost in 24 hours in which nothing happens: one that asks for a snapshot alone,
// and one that asks for everything beside it.
func TestSteadyDay(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t, options{
		aws:      fakeaws.Options{PendingFor: time.Minute, CopyFor: 3 * time.Minute, RestoreStep: 5 * time.Minute},
		registry: registry.Options{Username: "cook", Password: "thyme", TagsPerPage: 2},
	})
	w.createSecret("steady", corev1.SecretTypeDockerConfigJson, w.dockerConfig("cook", "thyme"))
	for _, tag := range []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0", "2.0.0"} {
		w.push("versions:"+tag, app(tag))
	}
	index := w.push("byindex:1", registry.Index{Entries: []registry.Artifact{app("index")}})
	images := imagesOf(w.push("one:latest", app("one")), w.push("two:latest", app("two")), index, w.byDigest("pinned:1", app("pinned")))
	images = append(images, v1alpha1.CachedImage{
		Image: w.registry.Host() + "/versions", TagPolicy: &v1alpha1.TagPolicy{SemVer: &v1alpha1.SemVerPolicy{Range: "1.x"}},
	})
	spec := v1alpha1.ImageCacheSnapshotSpec{
		Images: images, VolumeSize: smallest, ImagePullSecrets: []v1alpha1.PullSecretReference{{Name: "steady"}},
	}
	w.create("steady-alone", spec)
	spec.Images = imagesOf(w.push("full:latest", app("full")))
	spec.Copies = []v1alpha1.RegionalCopy{{Region: "us-east-1"}, {Region: "eu-west-1"}}
	spec.SharedWith = []v1alpha1.AccountID{"444455556666"}
	spec.FastSnapshotRestore = &v1alpha1.FastSnapshotRestore{AvailabilityZones: []v1alpha1.AvailabilityZone{home + "a"}}
	spec.Publish = &v1alpha1.Publish{SSMParameter: "/larder/steady", ConfigMap: &v1alpha1.ConfigMapReference{Name: "steady"}}
	w.create("steady-full", spec)
	w.untilRevision("steady-alone", 1)
	w.untilRevision("steady-full", 1)
	w.run(time.Hour)
	for _, kind := range []string{
		v1alpha1.ConditionCopiesReady, v1alpha1.ConditionShared, v1alpha1.ConditionFastSnapshotRestoreReady, v1alpha1.ConditionPublished,
	} {
		if object := w.object("steady-full"); !meta.IsStatusConditionTrue(object.Status.Conditions, kind) {
			t.Errorf("%s is %+v", kind, conditionOf(object, kind))
		}
	}

	// Who uses a snapshot is asked when one is to go, not before.
	whoUsesThem := func() map[string]int {
		calls := map[string]int{}
		for _, action := range []string{"DescribeAutoScalingGroups", "eks:ListClusters", "DescribeComputeEnvironments", "ecs:ListClusters"} {
			calls[action] = w.aws.Calls(action)
		}
		return calls
	}
	mutating, looked := w.aws.MutatingCalls(), whoUsesThem()
	versions := []string{w.object("steady-alone").ResourceVersion, w.object("steady-full").ResourceVersion}
	w.registry.ForgetRequests()
	w.run(day)
	if diff := cmp.Diff(mutating, w.aws.MutatingCalls()); diff != "" {
		t.Errorf("calls that change something (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(looked, whoUsesThem()); diff != "" {
		t.Errorf("calls for who uses snapshots (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(versions, []string{w.object("steady-alone").ResourceVersion, w.object("steady-full").ResourceVersion}); diff != "" {
		t.Errorf("the objects were written (-before +after):\n%s", diff)
	}
	const intervals = int(day / (10 * time.Minute)) // the API's default interval
	w.wantRequests(map[string]int{
		"HEAD /v2/one/manifests/latest":     intervals,
		"HEAD /v2/two/manifests/latest":     intervals,
		"HEAD /v2/byindex/manifests/1":      intervals,
		"HEAD /v2/versions/manifests/1.3.0": intervals,
		"GET /v2/versions/tags/list":        3 * intervals, // five tags, two a page
		"HEAD /v2/full/manifests/latest":    intervals,
	})
}

// wantRequests compares the access log with how often each request is expected, within the jitter of a tenth. Others
// there must not be: no manifest or layer is read, and nothing is logged in to.
func (w *world) wantRequests(expected map[string]int) {
	w.t.Helper()
	got := map[string]int{}
	for _, request := range w.registry.Requests() {
		if request.Status != http.StatusOK {
			w.t.Errorf("%s %s was answered with %d", request.Method, request.Path, request.Status)
		}
		got[request.Method+" "+request.Path]++
	}
	for request, count := range expected {
		if least, most := count*9/10, count*11/10; got[request] < least || got[request] > most {
			w.t.Errorf("%s: %d times, want %d to %d", request, got[request], least, most)
		}
		delete(got, request)
	}
	if len(got) > 0 {
		w.t.Errorf("requests that a steady state needs not: %v", got)
	}
}

// byDigest pushes an image and returns its reference by digest.
func (w *world) byDigest(name string, artifact registry.Artifact) string {
	w.t.Helper()
	built, err := registry.Build(artifact)
	if err != nil {
		w.t.Fatal(err)
	}
	reference, err := w.registry.PushBuilt(w.t.Context(), name, built)
	if err != nil {
		w.t.Fatal(err)
	}
	return reference[:strings.LastIndex(reference, ":")] + "@" + built.Descriptor.Digest.String()
}
