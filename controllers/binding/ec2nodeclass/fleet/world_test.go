package fleet_test

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

// applied is when the snapshot in place was written.
var applied = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// edit changes an object of a case.
type edit func(*unstructured.Unstructured)

// newClass returns a class of generation 7 that Karpenter found Ready an hour before applied.
func newClass(edits ...edit) *unstructured.Unstructured {
	before := -time.Hour
	class := newObject("gpu", append([]edit{
		created(-24 * time.Hour), generation(7), annotated("karpenter.k8s.aws/ec2nodeclass-hash", "1", "karpenter.k8s.aws/ec2nodeclass-hash-version", "v4"),
		set([]any{map[string]any{"id": "ami-1"}, map[string]any{"id": "ami-2"}}, "status", "amis"),
		says("AMIsReady=True", before), says("SubnetsReady=True", before), says("ValidationSucceeded=True", before), says("Ready=True", before),
	}, edits...)...)
	class.SetGroupVersionKind(fleet.ClassKind)
	return class
}

// newPool returns a NodePool of the class with Karpenter's default budget.
func newPool(name string, edits ...edit) *unstructured.Unstructured {
	pool := newObject(name, append([]edit{
		created(-24 * time.Hour), generation(3), annotated("karpenter.sh/nodepool-hash", "1", "karpenter.sh/nodepool-hash-version", "v3"),
		of("gpu", "spec", "template", "spec", "nodeClassRef"), says("Ready=True", -time.Hour),
		set([]any{map[string]any{"nodes": "10%"}}, "spec", "disruption", "budgets"),
	}, edits...)...)
	pool.SetGroupVersionKind(fleet.PoolKind)
	return pool
}

// newClaim returns a Ready NodeClaim of NodePool a, from an hour before applied, which nothing has drifted.
func newClaim(name string, edits ...edit) *unstructured.Unstructured {
	claim := newObject(name, append([]edit{
		created(-time.Hour), generation(1), labelled("karpenter.sh/nodepool", "a"), of("gpu", "spec", "nodeClassRef"),
		annotated("karpenter.k8s.aws/ec2nodeclass-hash", "1", "karpenter.k8s.aws/ec2nodeclass-hash-version", "v4",
			"karpenter.sh/nodepool-hash", "1", "karpenter.sh/nodepool-hash-version", "v3"),
		set("ami-1", "status", "imageID"), says("Launched=True", -time.Hour), says("Ready=True", -time.Hour),
	}, edits...)...)
	claim.SetGroupVersionKind(fleet.ClaimKind)
	return claim
}

func newObject(name string, edits ...edit) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetName(name)
	for _, edit := range edits {
		edit(object)
	}
	return object
}

// created dates the creation from applied on.
func created(after time.Duration) edit {
	return func(object *unstructured.Unstructured) {
		object.SetCreationTimestamp(metav1.NewTime(applied.Add(after)))
	}
}

func deleted(object *unstructured.Unstructured) {
	now := metav1.NewTime(applied)
	object.SetDeletionTimestamp(&now)
}

func generation(n int64) edit {
	return func(object *unstructured.Unstructured) { object.SetGeneration(n) }
}

func labelled(key, value string) edit {
	return func(object *unstructured.Unstructured) { object.SetLabels(map[string]string{key: value}) }
}

// annotated adds annotations, and removes those that are to be empty.
func annotated(pairs ...string) edit {
	return func(object *unstructured.Unstructured) {
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		for i := 0; i < len(pairs); i += 2 {
			annotations[pairs[i]] = pairs[i+1]
			if pairs[i+1] == "" {
				delete(annotations, pairs[i])
			}
		}
		object.SetAnnotations(annotations)
	}
}

func of(class string, path ...string) edit {
	return set(map[string]any{"group": fleet.ClassKind.Group, "kind": fleet.ClassKind.Kind, "name": class}, path...)
}

func set(value any, path ...string) edit {
	return func(object *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
			panic(err)
		}
	}
}

func without(path ...string) edit {
	return func(object *unstructured.Unstructured) { unstructured.RemoveNestedField(object.Object, path...) }
}

// says sets a condition of the object's generation, as "Launched=Unknown LaunchFailed: why", dated from applied on.
func says(text string, after time.Duration) edit {
	return func(object *unstructured.Unstructured) { saysOf(object.GetGeneration(), text, after)(object) }
}

// saysOf sets a condition that speaks of that generation; 0 leaves it out, as Karpenter 1.0 does.
func saysOf(generation int64, text string, after time.Duration) edit {
	kind, text, _ := strings.Cut(text, "=")
	text, message, _ := strings.Cut(text, ": ")
	status, reason, _ := strings.Cut(text, " ")
	entry := map[string]any{"type": kind, "status": status, "reason": reason, "message": message,
		"lastTransitionTime": applied.Add(after).Format(time.RFC3339)}
	if generation != 0 {
		entry["observedGeneration"] = generation
	}
	return func(object *unstructured.Unstructured) {
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
		kept := []any{entry}
		for _, c := range conditions {
			if c.(map[string]any)["type"] != kind {
				kept = append(kept, c)
			}
		}
		set(kept, "status", "conditions")(object)
	}
}

func items(objects ...*unstructured.Unstructured) []unstructured.Unstructured {
	var list []unstructured.Unstructured
	for _, object := range objects {
		list = append(list, *object)
	}
	return list
}
