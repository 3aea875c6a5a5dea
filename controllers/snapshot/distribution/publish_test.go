package distribution

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ssm"
)

func TestTheIDIsPublished(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Publish: publishTo("/larder/a", "a")})
	w.cloud.check = func(_, call string, details ...string) {
		if (call == "CreateParameter" || call == "CreateConfigMap") && !strings.Contains(w.object().Annotations[AnnotationPublishedTo], details[0]) {
			t.Errorf("%s is published to while the object does not name it", details[0])
		}
	}
	w.settle()
	want := map[string]string{
		"snapshotID": w.current.ID, "revision": "1", "region": homeRegion, "contentHash": "hash-1", "volumeSize": "20Gi", "format": "Bottlerocket",
	}
	if diff := cmp.Diff(want, w.configMap("a").Data); diff != "" {
		t.Errorf("the ConfigMap (-want +got):\n%s", diff)
	}
	if got := w.cloud.params["/larder/a"].Value; got != w.current.ID {
		t.Errorf("the parameter is %q", got)
	}
	if got := w.current.Tags["larder.dev/exposed"]; got != "published" {
		t.Errorf("the home snapshot says %q", got)
	}
	w.build(2)
	w.settle()
	if got := w.cloud.params["/larder/a"].Value + " " + w.configMap("a").Data["snapshotID"]; got != w.current.ID+" "+w.current.ID {
		t.Errorf("the new revision is not published: %q", got)
	}
}

func TestPlacesThatLeaveTheSpecAreWithdrawn(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Publish: publishTo("/larder/a", "a")})
	w.settle()
	w.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Publish = publishTo("/larder/b", "b") })
	w.settle()
	if _, there := w.cloud.params["/larder/a"]; there || w.configMap("a") != nil || w.cloud.params["/larder/b"].Value == "" || w.configMap("b") == nil {
		t.Errorf("parameters %v, ConfigMaps a: %v, b: %v", w.cloud.params, w.configMap("a"), w.configMap("b"))
	}
	w.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Publish = nil })
	object := w.settle()
	if len(w.cloud.params) > 0 || w.configMap("b") != nil || object.Annotations[AnnotationPublishedTo] != "" {
		t.Errorf("left: %v, %v, %v", w.cloud.params, w.configMap("b"), object.Annotations)
	}
}

func TestWhatIsSomebodyElsesIsNeitherWrittenNorWithdrawn(t *testing.T) {
	theirs := map[string]corev1.ConfigMap{
		"somebody's":             {Data: map[string]string{"snapshotID": "theirs"}},
		"another object's":       {ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{labelManagedBy: managedBy}, Annotations: map[string]string{annotationObjectUID: "other"}}},
		"annotated, not ours":    {ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationObjectUID: "object-uid"}}},
		"of a former namesake's": {ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{labelManagedBy: managedBy}}},
	}
	for name, one := range theirs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Publish: publishTo("/larder/a", "a")})
			one.Namespace, one.Name = operatorNamespace, "a"
			if err := w.client.Create(t.Context(), &one); err != nil {
				t.Fatal(err)
			}
			w.cloud.params["/larder/a"] = ssm.Parameter{Value: "theirs", Tags: map[string]string{"larder.dev/cluster-uid": "other", "larder.dev/object-uid": "object-uid"}}
			object := w.settle()
			condition := w.condition(larderv1alpha1.ConditionPublished)
			for _, part := range []string{"/larder/a", operatorNamespace + "/a", "spec.publish.configMap", "spec.publish.ssmParameter"} {
				if condition.Reason != larderv1alpha1.ReasonNotOurs || !strings.Contains(condition.Message, part) {
					t.Errorf("want %s and %q, got %+v", larderv1alpha1.ReasonNotOurs, part, condition)
				}
			}
			if err := w.distributor().Withdraw(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if w.cloud.params["/larder/a"].Value != "theirs" || w.configMap("a") == nil || w.configMap("a").Data["snapshotID"] == w.current.ID {
				t.Errorf("it was touched: %v, %v", w.cloud.params, w.configMap("a"))
			}
		})
	}
}

func TestWithdrawTakesBackWhatIsOurs(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Publish: publishTo("/larder/a", "a")})
	object := w.settle()
	for range 2 { // a second time, there is nothing
		if err := w.distributor().Withdraw(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.cloud.params) > 0 || w.configMap("a") != nil {
		t.Errorf("left: %v, %v", w.cloud.params, w.configMap("a"))
	}
	w.cloud.before = func(string, string) error { return unavailable() }
	if err := w.distributor().Withdraw(t.Context(), object); err == nil || !strings.Contains(err.Error(), "ServiceUnavailable") {
		t.Errorf("want AWS's error, got %v", err)
	}
}

func TestKeysThatOthersAddToTheConfigMapStay(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Publish: publishTo("", "a")})
	w.settle()
	edited := w.configMap("a")
	edited.Data["note"], edited.Data["snapshotID"] = "mine", "wrong"
	if err := w.client.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.configMap("a").Data; got["note"] != "mine" || got["snapshotID"] != w.current.ID {
		t.Errorf("the ConfigMap is %v", got)
	}
}
