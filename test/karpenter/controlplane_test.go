package karpenter_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/test/controlplane"
)

// TestRealSchemasTakeWhatIsWritten plays the life of a pool by Karpenter's own CRDs: what they would not take, or would
// drop, is written again by the next Settle.
func TestRealSchemasTakeWhatIsWritten(t *testing.T) {
	w := newWorld(t, controlplane.Start(t).Admin)
	node := w.nodes(1)[0]
	w.checkSettled()
	w.says(w.class(), "Ready", "True", "Ready")
	w.says(w.pool(), "Ready", "True", "Ready")
	w.says(w.pool(), "NodeRegistrationHealthy", "True", "NodeRegistrationHealthy")
	w.says(w.claim(node), "Ready", "True", "Ready")
	for _, path := range [][]string{{"status", "imageID"}, {"status", "providerID"}, {"status", "nodeName"}} {
		if text(w.claim(node), path...) == "" {
			t.Errorf("the claim has no %v", path)
		}
	}

	w.unusable[badSnapshot] = true
	w.bootFrom(badSnapshot)
	if ready := w.condition(w.class(), "Ready"); ready.ObservedGeneration == w.class().GetGeneration() {
		t.Error("the class is Ready before Karpenter looked at it")
	}
	if _, err := w.Launch(t.Context(), "pool"); err == nil {
		t.Error("a node is launched by a class that Karpenter has not looked at")
	}
	w.settle()
	w.checkSettled()
	w.says(w.class(), "Ready", "Unknown", "ReconcilingDependents")
	stale := w.condition(w.class(), "ValidationSucceeded")
	if stale.Status != "True" || stale.ObservedGeneration >= w.class().GetGeneration() {
		t.Errorf("ValidationSucceeded is %+v at generation %d, want the last generation's True", stale, w.class().GetGeneration())
	}
	w.says(w.pool(), "NodeRegistrationHealthy", "Unknown", "AwaitingReconciliation")
	w.says(w.claim(node), "Drifted", "True", "NodeClassDrift")

	w.bootFrom(goodSnapshot)
	w.settle()
	w.says(w.class(), "Ready", "True", "Ready")
	replacement := w.disrupt().Started[0].New
	if err := w.Ready(t.Context(), replacement); err != nil {
		t.Fatal(err)
	}
	w.disrupt()
	w.settle()
	w.checkSettled()
	if !w.isGone(node) || w.isGone(replacement) {
		t.Error("the node was not replaced")
	}
}

// checkSettled fails the test if there is still something to write.
func (w *world) checkSettled() {
	w.Helper()
	before := w.versions()
	w.settle()
	for name, version := range w.versions() {
		if before[name] != version {
			w.Errorf("%s was written again: something of it was not kept", name)
		}
	}
}

func (w *world) versions() map[string]string {
	w.Helper()
	versions := map[string]string{}
	objects := []*unstructured.Unstructured{w.class(), w.pool()}
	claims := &unstructured.UnstructuredList{}
	claims.SetAPIVersion("karpenter.sh/v1")
	claims.SetKind("NodeClaimList")
	if err := w.Client.List(w.Context(), claims); err != nil {
		w.Fatal(err)
	}
	for i := range claims.Items {
		objects = append(objects, &claims.Items[i])
	}
	for _, object := range objects {
		versions[object.GetKind()+" "+object.GetName()] = object.GetResourceVersion()
	}
	return versions
}
