package karpenter_test

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/test/karpenter"
)

const hashAnnotation = "karpenter.k8s.aws/ec2nodeclass-hash"

func TestHashOfAClass(t *testing.T) {
	cases := map[string]struct {
		change  func(spec map[string]any)
		changes bool
	}{
		"the order of devices means nothing": {func(spec map[string]any) {
			devices := spec["blockDeviceMappings"].([]any)
			devices[0], devices[1] = devices[1], devices[0]
		}, false},
		"51200Mi is 50Gi": {func(spec map[string]any) {
			device(spec, 1)["ebs"].(map[string]any)["volumeSize"] = "51200Mi"
		}, false},
		"a subnet is looked for at launch": {func(spec map[string]any) {
			spec["subnetSelectorTerms"] = []any{map[string]any{"id": "subnet-0123456789abcdef1"}}
		}, false},
		"an alias of the same family drifts by its AMI": {func(spec map[string]any) {
			spec["amiSelectorTerms"] = []any{map[string]any{"alias": "bottlerocket@v1.42.0"}}
		}, false},
		"a family that the alias means already": {func(spec map[string]any) { spec["amiFamily"] = "Bottlerocket" }, false},
		"another family":                        {func(spec map[string]any) { spec["amiFamily"] = "Custom" }, true},
		"a snapshot": {func(spec map[string]any) {
			device(spec, 1)["ebs"].(map[string]any)["snapshotID"] = goodSnapshot
		}, true},
		"a size": {func(spec map[string]any) {
			device(spec, 1)["ebs"].(map[string]any)["volumeSize"] = "51Gi"
		}, true},
		"a rate": {func(spec map[string]any) {
			device(spec, 1)["ebs"].(map[string]any)["volumeInitializationRate"] = int64(100)
		}, true},
		"a device less": {func(spec map[string]any) {
			spec["blockDeviceMappings"] = spec["blockDeviceMappings"].([]any)[1:]
		}, true},
		"kubelet's settings": {func(spec map[string]any) { spec["kubelet"] = map[string]any{"maxPods": int64(20)} }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newFake())
			before := w.class().GetAnnotations()[hashAnnotation]
			w.edit(w.class(), c.change)
			w.settle()
			if after := w.class().GetAnnotations()[hashAnnotation]; before == "" || (after != before) != c.changes {
				t.Errorf("the hash went from %s to %s, want a change: %t", before, after, c.changes)
			}
		})
	}
}

func TestDriftComesAndGoes(t *testing.T) {
	requireArm := []any{map[string]any{"key": "kubernetes.io/arch", "operator": "In", "values": []any{"arm64"}}}
	cases := map[string]struct {
		reason     string
		come, gone func(*world)
	}{
		"another snapshot": {"NodeClassDrift",
			func(w *world) { w.bootFrom(goodSnapshot) },
			func(w *world) { w.bootFrom("") }},
		"a release of the AMI": {"AMIDrift",
			func(w *world) {
				w.SetAMIs("bottlerocket@latest", map[string]string{"amd64": "ami-2", "arm64": "ami-3"})
			},
			func(w *world) {
				id := text(w.claim("pool-00001"), "status", "imageID")
				w.SetAMIs("bottlerocket@latest", map[string]string{"amd64": id, "arm64": "ami-3"})
			}},
		"the pool's template": {"NodePoolDrifted",
			func(w *world) { w.setLabel("b") },
			func(w *world) { w.setLabel("a") }},
		"what the pool requires": {"RequirementsDrifted",
			func(w *world) { w.require(requireArm) },
			func(w *world) { w.require([]any{}) }},
		"the pool comes before the class": {"NodePoolDrifted",
			func(w *world) { w.setLabel("b"); w.bootFrom(goodSnapshot) },
			func(w *world) { w.setLabel("a"); w.bootFrom("") }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newFake())
			node := w.nodes(1)[0]
			w.says(w.claim(node), "Drifted", "", "")

			c.come(w)
			w.settle()
			w.says(w.claim(node), "Drifted", "True", c.reason)

			c.gone(w)
			w.settle()
			w.says(w.claim(node), "Drifted", "", "")
		})
	}
}

func (w *world) setLabel(team string) {
	w.edit(w.pool(), func(spec map[string]any) {
		spec["template"].(map[string]any)["metadata"] = map[string]any{"labels": map[string]any{"team": team}}
	})
}

func text(object *unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, path...)
	return value
}

func (w *world) require(requirements []any) {
	w.edit(w.pool(), func(spec map[string]any) {
		spec["template"].(map[string]any)["spec"].(map[string]any)["requirements"] = requirements
	})
}

// TestClaimWithoutAnInstanceDoesNotDrift: it is launched as its owners are now.
func TestClaimWithoutAnInstanceDoesNotDrift(t *testing.T) {
	w := newWorld(t, newFake())
	w.bootFrom(badSnapshot)
	w.settle()
	w.unusable[badSnapshot] = true
	name := w.launch()
	w.setLabel("b")
	w.settle()
	w.says(w.claim(name), "Drifted", "", "")
}

// TestSnapshotThatEC2Refuses: the class says that something is not known, and nothing launches until it is.
func TestSnapshotThatEC2Refuses(t *testing.T) {
	w := newWorld(t, newFake())
	hash := w.class().GetAnnotations()[hashAnnotation]
	w.unusable[badSnapshot] = true
	w.bootFrom(badSnapshot)
	w.settle()
	w.says(w.class(), "Ready", "Unknown", "ReconcilingDependents")
	w.says(w.class(), "ValidationSucceeded", "True", "ValidationSucceeded")
	w.says(w.pool(), "Ready", "False", "UnhealthyDependents")
	w.says(w.pool(), "NodeClassReady", "False", "NodeClassReadinessUnknown")
	if w.class().GetAnnotations()[hashAnnotation] == hash {
		t.Error("the hash is as it was")
	}
	if name, err := w.Launch(t.Context(), "pool"); !errors.Is(err, karpenter.ErrRefused) {
		t.Errorf("launched %s: %v", name, err)
	}
	w.unusable[badSnapshot] = false
	w.settle()
	w.says(w.class(), "Ready", "True", "Ready")
	w.nodes(1)
}

// TestSnapshotThatIsDeleted: the class stays Ready, launches fail, and the pool says so after the second claim.
func TestSnapshotThatIsDeleted(t *testing.T) {
	w := newWorld(t, newFake())
	w.bootFrom(goodSnapshot)
	w.nodes(1)
	w.says(w.pool(), "NodeRegistrationHealthy", "True", "NodeRegistrationHealthy")
	w.unusable[goodSnapshot] = true
	w.settle()
	w.says(w.class(), "Ready", "True", "Ready")
	for i, status := range []string{"True", "False"} {
		name := w.launch()
		w.says(w.claim(name), "Launched", "Unknown", "LaunchFailed")
		w.says(w.claim(name), "Ready", "Unknown", "ReconcilingDependents")
		if err := w.Ready(t.Context(), name); err == nil {
			t.Error("a node came up that was not launched")
		}
		w.clock.SetTime(w.clock.Now().Add(5*time.Minute - time.Second))
		w.settle()
		if w.isGone(name) {
			t.Fatal("the claim is gone before its time")
		}
		w.clock.SetTime(w.clock.Now().Add(time.Second))
		w.settle()
		w.settle()
		if !w.isGone(name) {
			t.Errorf("claim %s is still there", name)
		}
		if got := w.condition(w.pool(), "NodeRegistrationHealthy"); string(got.Status) != status {
			t.Errorf("after %d failures the pool is %+v, want %s", i+1, got, status)
		}
	}
	w.says(w.pool(), "NodeRegistrationHealthy", "False", "LaunchFailed")

	late := w.launch()
	w.unusable[goodSnapshot] = false
	w.settle()
	w.says(w.claim(late), "Launched", "True", "Launched")
}

// TestNodeThatNeverComesUp: after 15 minutes Karpenter gives it up.
func TestNodeThatNeverComesUp(t *testing.T) {
	w := newWorld(t, newFake())
	first, second := w.launch(), w.launch()
	w.clock.SetTime(w.clock.Now().Add(15 * time.Minute))
	w.settle()
	w.settle()
	if !w.isGone(first) || !w.isGone(second) {
		t.Error("a claim without a node is still there")
	}
	w.says(w.pool(), "NodeRegistrationHealthy", "False", "RegistrationFailed")
}

// TestClassIsHeldByItsClaims: one that is deleted goes after the last of them.
func TestClassIsHeldByItsClaims(t *testing.T) {
	w := newWorld(t, newFake())
	node := w.nodes(1)[0]
	if err := w.Client.Delete(t.Context(), w.class()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.says(w.pool(), "NodeClassReady", "False", "NodeClassTerminating")
	if err := w.Client.Delete(t.Context(), w.claim(node)); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.settle()
	w.says(w.pool(), "NodeClassReady", "False", "NodeClassNotFound")
}

// TestFakeClientWithStatusSubresources: the player writes the same as without.
func TestFakeClientWithStatusSubresources(t *testing.T) {
	w := newWorld(t, newFake(karpenter.EC2NodeClass, karpenter.NodePool, karpenter.NodeClaim))
	node := w.nodes(1)[0]
	w.says(w.class(), "Ready", "True", "Ready")
	w.says(w.pool(), "Ready", "True", "Ready")
	w.says(w.claim(node), "Ready", "True", "Ready")
	amis, _, err := unstructured.NestedSlice(w.class().Object, "status", "amis")
	if err != nil || len(amis) != 2 {
		t.Errorf("status.amis is %v, want one for each architecture: %v", amis, err)
	}
}
