package binding_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
	"github.com/larder-dev/larder/test/controlplane"
)

// TestKarpenterReleases has the target read and write the classes of Karpenter's oldest v1 release and of its newest, on a
// real API server and as the user whom the generated roles describe.
func TestKarpenterReleases(t *testing.T) {
	for _, release := range []controlplane.KarpenterRelease{controlplane.OldestKarpenter, controlplane.NewestKarpenter} {
		t.Run(string(release), func(t *testing.T) {
			plane := controlplane.StartWithoutKarpenter(t)
			operator, err := client.New(plane.Operator(t), client.Options{Scheme: controlplane.Scheme()})
			if err != nil {
				t.Fatal(err)
			}
			h := &hands{cluster: cluster{TB: t, admin: plane.Admin}, target: &ec2nodeclass.Target{Client: operator, Reader: operator, Cache: operator, Images: noImages{}}}
			h.expectProblem(h.plan(h.newBinding("early"), snapshotOf("snap-1")), v1alpha1.ReasonTargetKindMissing)
			plane.InstallKarpenter(t, release)

			t.Run("in place", func(t *testing.T) { testInPlace(h.in(t)) })
			t.Run("in place, left", func(t *testing.T) { testInPlaceLeft(h.in(t)) })
			t.Run("preflight", func(t *testing.T) { testPreflight(h, t) })
			t.Run("derive", func(t *testing.T) { testDerive(h.in(t)) })
			t.Run("derive, edited by others", func(t *testing.T) { testDerivedClassEdited(h.in(t)) })
			t.Run("derive, while a class of that name appears", func(t *testing.T) { testDerivedClassAppears(h.in(t)) })
			t.Run("derive, still in use", func(t *testing.T) { testDerivedClassInUse(h.in(t)) })
			t.Run("derive, left", func(t *testing.T) { testDerivedClassLeft(h.in(t)) })
			if release == controlplane.OldestKarpenter {
				t.Run("a rate that the kind lacks", func(t *testing.T) { testRateLacking(h.in(t), plane) })
			} else {
				t.Run("a rate", func(t *testing.T) { testRate(h.in(t)) })
				t.Run("fields of this release alone", func(t *testing.T) { testNewestFields(h.in(t)) })
			}
			t.Run("without NodePools and NodeClaims", func(t *testing.T) { testWithoutPools(h.in(t)) })
		})
	}
}

// hands plan and write as the operator does, one step at a time.
type hands struct {
	cluster
	target *ec2nodeclass.Target
}

func (h *hands) in(t *testing.T) *hands { return &hands{*h.cluster.in(t), h.target} }

func snapshotOf(id string) binding.Snapshot {
	return binding.Snapshot{ID: id, Format: v1alpha1.FormatBottlerocket, SizeGiB: 40, Platforms: []string{"linux/amd64", "linux/arm64"}}
}

func (h *hands) newBinding(name string) *v1alpha1.NodeClassBinding {
	b := newBinding(name, v1alpha1.RolloutRoll)
	b.Spec.Target.EC2NodeClass.Name = name
	return b
}

func (h *hands) newDeriving(name string) *v1alpha1.NodeClassBinding {
	b := h.newBinding(name)
	b.Spec.Target.EC2NodeClass.Derive = &v1alpha1.DerivedNodeClass{Name: name + "-larder"}
	return b
}

func (h *hands) newClass(name string, devices ...any) *unstructured.Unstructured {
	class := newClass(devices...)
	class.SetName(name)
	h.create(class)
	return class
}

func (h *hands) observe(b *v1alpha1.NodeClassBinding) binding.Observation {
	h.Helper()
	o, err := h.target.Observe(context.Background(), b, binding.Heard)
	h.must(err)
	return o
}

func (h *hands) plan(b *v1alpha1.NodeClassBinding, s binding.Snapshot) binding.Plan {
	h.Helper()
	return h.observe(b).Plan(b, s, time.Now())
}

// end plans the end of a binding that is being deleted.
func (h *hands) end(b *v1alpha1.NodeClassBinding) binding.Plan {
	h.Helper()
	b = b.DeepCopy()
	b.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	return h.observe(b).PlanEnd(b, time.Now())
}

func (h *hands) act(w binding.Write) {
	h.Helper()
	if w == nil {
		h.Fatal("nothing to write")
	}
	h.must(h.target.Act(context.Background(), w))
}

func (h *hands) expectProblem(plan binding.Plan, reason string) {
	h.Helper()
	if plan.Problem == nil || plan.Problem.Reason != reason || plan.Write != nil {
		h.Errorf("got %+v, want %s and nothing to write", plan, reason)
	}
}

// expectSettled has the API server's own view of a class lead to no further write: what it adds by default, or writes in
// another way, would be written for ever.
func (h *hands) expectSettled(b *v1alpha1.NodeClassBinding, s binding.Snapshot) {
	h.Helper()
	plan := h.plan(b, s)
	if plan.Problem != nil || plan.Write != nil || plan.Upkeep != nil || plan.TakenBackBy != "" || plan.InPlace != s.ID {
		h.Errorf("not settled: %+v", plan)
	}
}

// edit has somebody else change the spec of a class.
func (h *hands) edit(name, manager string, change func(spec map[string]any)) {
	h.Helper()
	class := h.class(name)
	change(class.Object["spec"].(map[string]any))
	h.must(h.admin.Update(context.Background(), class, client.FieldOwner(manager)))
}

func (h *hands) expectSpec(name string, want any) {
	h.Helper()
	if diff := cmp.Diff(want, h.class(name).Object["spec"]); diff != "" {
		h.Errorf("spec of %s (-want +got):\n%s", name, diff)
	}
}

func (h *hands) expectGone(name string) {
	h.Helper()
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(classKind)
	if err := h.admin.Get(context.Background(), client.ObjectKey{Name: name}, class); !apierrors.IsNotFound(err) {
		h.Errorf("EC2NodeClass %s is still there: %v", name, err)
	}
}

func testInPlace(h *hands) {
	former := volume(device, "50Gi", "encrypted", true, "deleteOnTermination", false)
	h.newClass("place", root, former)
	before := h.class("place").Object["spec"]
	b := h.newBinding("place")
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	h.expectDevices("place", []any{root, volume(device, "50Gi", "encrypted", true, "deleteOnTermination", false, "snapshotID", "snap-1",
		"volumeType", "gp3", "throughput", int64(500))})
	h.expectSettled(b, snapshotOf("snap-1"))
	h.act(h.plan(b, snapshotOf("snap-2")).Write)
	h.expectSettled(b, snapshotOf("snap-2"))

	// A snapshot that failed, without one before it: the device is the class's own until the next.
	h.act(h.observe(b).PlanWithout(b, time.Now()).Write)
	h.expectSpec("place", before)
	if plan := h.observe(b).PlanWithout(b, time.Now()); plan.Write != nil || plan.Problem != nil {
		h.Errorf("without a snapshot already, and yet: %+v", plan)
	}
	h.act(h.plan(b, snapshotOf("snap-3")).Write)
	h.expectSettled(b, snapshotOf("snap-3"))

	h.act(h.end(b).Write)
	h.expectSpec("place", before)
	h.expectNoTrace("place")
	if plan := h.end(b); plan.Write != nil || plan.Problem != nil {
		h.Errorf("nothing is left, and yet: %+v", plan)
	}
}

func testInPlaceLeft(h *hands) {
	h.newClass("left", root)
	b := h.newBinding("left")
	b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	written := h.class("left")
	h.act(h.end(b).Write)
	h.expectSpec("left", written.Object["spec"])
	h.expectNoTrace("left")
	if got := h.class("left").GetGeneration(); got != written.GetGeneration() {
		h.Errorf("leaving the device changed the spec: generation %d, was %d", got, written.GetGeneration())
	}
	// Nobody is in the way of the next one who applies the list.
	class := newClass(root)
	class.SetName("left")
	h.must(h.admin.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(class), client.FieldOwner("kubectl")))
}

func testRate(h *hands) {
	rate := int64(200)
	for _, b := range []*v1alpha1.NodeClassBinding{h.newBinding("rate"), h.newDeriving("rated")} {
		h.newClass(b.Name, root)
		b.Spec.Target.EC2NodeClass.Device.VolumeInitializationRate = &rate
		plan := h.plan(b, snapshotOf("snap-1"))
		if plan.Problem != nil || len(plan.Warnings) > 0 {
			h.Fatalf("got %+v", plan)
		}
		h.act(plan.Write)
		h.expectSettled(b, snapshotOf("snap-1"))
		h.act(h.observe(b).PlanWithout(b, time.Now()).Write) // Karpenter takes no rate without a snapshot
	}
}

// testRateLacking ends with an update of Karpenter, which brings the field.
func testRateLacking(h *hands, plane *controlplane.ControlPlane) {
	rate := int64(200)
	h.newClass("rate", root)
	b := h.newBinding("rate")
	b.Spec.Target.EC2NodeClass.Device.VolumeInitializationRate = &rate
	h.expectProblem(h.plan(b, snapshotOf("snap-1")), v1alpha1.ReasonFieldUnsupported)
	h.newClass("updated", root)
	derived := h.newDeriving("updated")
	h.act(h.plan(derived, snapshotOf("snap-1")).Write)

	plane.InstallKarpenter(h, controlplane.NewestKarpenter)
	h.eventually(func() error {
		plan := h.plan(b, snapshotOf("snap-1"))
		if plan.Problem != nil {
			return plan.Problem
		}
		if err := h.target.Act(context.Background(), plan.Write); err != nil {
			return err
		}
		if plan := h.plan(b, snapshotOf("snap-1")); plan.Write != nil { // the API server may still serve the old definition
			return errors.New("the rate was dropped")
		}
		return nil
	}).Should(gomega.Succeed())
	h.expectSettled(derived, snapshotOf("snap-1"))
}

// testNewestFields has fields that Larder has never heard of.
func testNewestFields(h *hands) {
	for _, b := range []*v1alpha1.NodeClassBinding{h.newBinding("newest"), h.newDeriving("newer")} {
		h.newClass(b.Name, root)
		h.edit(b.Name, "kubectl-edit", func(spec map[string]any) {
			spec["ipPrefixCount"] = int64(3)
			spec["connectionTracking"] = map[string]any{"udpTimeout": int64(45)}
			spec["kubelet"] = map[string]any{"maxPods": int64(58), "memoryManagerPolicy": "Static"}
			spec["blockDeviceMappings"] = []any{root, volume(device, "50Gi", "kmsKeyID", "alias/data")}
		})
		want := h.class(b.Name).Object["spec"].(map[string]any)
		h.act(h.plan(b, snapshotOf("snap-1")).Write)
		want["blockDeviceMappings"] = []any{root, volume(device, "50Gi", "kmsKeyID", "alias/data", "snapshotID", "snap-1", "volumeType", "gp3", "throughput", int64(500))}
		name := b.Name
		if b.Spec.Target.EC2NodeClass.Derive != nil {
			name = b.Spec.Target.EC2NodeClass.Derive.Name
		}
		h.expectSpec(name, want)
		h.expectSettled(b, snapshotOf("snap-1"))
	}
}

// testWithoutPools takes Karpenter's other kinds away, as a removal that was left half-way does.
func testWithoutPools(h *hands) {
	h.newClass("alone", root)
	b := h.newDeriving("alone")
	b.Spec.Rollout.Strategy = v1alpha1.RolloutNewNodesOnly
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	for _, name := range []string{"nodepools.karpenter.sh", "nodeclaims.karpenter.sh"} {
		definition := &unstructured.Unstructured{}
		definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		definition.SetName(name)
		h.must(h.admin.Delete(context.Background(), definition))
		h.eventually(func() bool {
			return apierrors.IsNotFound(h.admin.Get(context.Background(), client.ObjectKey{Name: name}, definition))
		}).Should(gomega.BeTrue())
	}
	h.expectSettled(b, snapshotOf("snap-1"))
	h.act(h.end(b).Write)
	h.expectGone("alone-larder")
}
