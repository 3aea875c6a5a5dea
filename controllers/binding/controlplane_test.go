package binding_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
	"github.com/larder-dev/larder/test/controlplane"
	"github.com/larder-dev/larder/test/targets"
)

// patience is for a machine that is compiling meanwhile; a state is usually reached within a second.
const patience = time.Minute

// TestControlPlane runs the controller against a real API server with Karpenter's own kinds, of its oldest v1 release and
// of its newest, as the user whom the generated roles describe.
func TestControlPlane(t *testing.T) {
	for _, release := range []controlplane.KarpenterRelease{controlplane.OldestKarpenter, controlplane.NewestKarpenter} {
		t.Run(string(release), func(t *testing.T) { testControlPlane(t, release) })
	}
}

func testControlPlane(t *testing.T, release controlplane.KarpenterRelease) {
	plane := controlplane.StartWithoutKarpenter(t)
	t.Run("API", func(t *testing.T) { testAPI(t, plane.Admin) })
	t.Run("API of targets", func(t *testing.T) { testTargetsAPI(t, plane) })

	c := &cluster{TB: t, admin: plane.Admin}
	startOperator(t, plane)
	t.Run("Karpenter comes later", func(t *testing.T) { testLateKarpenter(c.in(t), plane, release) })
	t.Run("NewNodesOnly waits for the last NodeClaim", func(t *testing.T) { testClaims(c.in(t)) })
	t.Run("apply-now", func(t *testing.T) { testApplyNow(c.in(t)) })
	t.Run("nodes that drift", func(t *testing.T) { testNodesThatDrift(c.in(t)) })
	t.Run("a derived class", func(t *testing.T) { testDerived(c.in(t)) })
	t.Run("other writers", func(t *testing.T) { testOtherWriters(c.in(t)) })
	t.Run("two bindings on one device", func(t *testing.T) { testTwoBindings(c.in(t)) })
	t.Run("a class that changed since", func(t *testing.T) { testChangedSince(c.in(t), plane) })
	t.Run("a class that Karpenter refuses", func(t *testing.T) { testRefused(c.in(t)) })
	t.Run("a denied write", func(t *testing.T) { testDenied(c.in(t)) })
}

func startOperator(t *testing.T, plane *controlplane.ControlPlane) {
	t.Helper()
	ctrl.SetLogger(zap.New(zap.UseDevMode(true), zap.WriteTo(t.Output())))
	mgr, err := ctrl.NewManager(plane.Operator(t), ctrl.Options{
		Scheme: controlplane.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)}, // one operator after the other
	})
	if err != nil {
		t.Fatal(err)
	}
	reconciler := &binding.Reconciler{
		Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("larder"), Clock: clock.RealClock{},
		Source:  sourceOf(mgr.GetClient(), mgr.GetClient(), clock.RealClock{}),
		Targets: binding.Targets{&ec2nodeclass.Target{Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Cache: mgr.GetCache(), Images: noImages{}}},
	}
	if err := reconciler.SetupWithManager(t.Context(), mgr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() { // before the control plane, which was there first
		stop()
		if err := <-ended; err != nil {
			t.Errorf("running the operator: %v", err)
		}
	})
}

// cluster is the test's own hands on the API server.
type cluster struct {
	testing.TB
	admin client.Client
}

func (c *cluster) in(t *testing.T) *cluster { return &cluster{TB: t, admin: c.admin} }

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) eventually(check any) gomega.AsyncAssertion {
	return gomega.NewWithT(c).Eventually(check).WithTimeout(patience).WithPolling(50 * time.Millisecond)
}

func (c *cluster) create(objects ...client.Object) {
	c.Helper()
	for _, object := range objects {
		c.must(c.admin.Create(context.Background(), object, client.FieldOwner("kubectl-create")))
	}
}

// completed creates an ImageCacheSnapshot and plays its controller.
func (c *cluster) completed(name, id, size string) {
	c.Helper()
	s := newSnapshot("", "")
	s.Name = name
	c.create(s)
	s.Status.SnapshotID, s.Status.VolumeSize = id, quantity(size)
	c.must(c.admin.Status().Update(context.Background(), s))
}

func (c *cluster) renew(name, id string) {
	c.Helper()
	s := &v1alpha1.ImageCacheSnapshot{}
	c.must(c.admin.Get(context.Background(), client.ObjectKey{Name: name}, s))
	s.Status.SnapshotID = id
	c.must(c.admin.Status().Update(context.Background(), s))
}

// bound creates a class, a completed snapshot and a binding, all of one name.
func (c *cluster) bound(name string, strategy v1alpha1.RolloutStrategy, devices ...any) *v1alpha1.NodeClassBinding {
	c.Helper()
	class := newClass(devices...)
	class.SetName(name)
	c.completed(name, "snap-1", "40Gi")
	b := c.binding(name, strategy)
	c.create(class, b)
	return b
}

func (c *cluster) binding(name string, strategy v1alpha1.RolloutStrategy) *v1alpha1.NodeClassBinding {
	b := newBinding(name, strategy)
	b.UID, b.Generation = "", 0
	b.Spec.Snapshot.Ref, b.Spec.Target.EC2NodeClass.Name = &v1alpha1.SnapshotReference{Name: name}, name
	return b
}

// waitFor waits for a condition of a binding, and checks the status it came with.
func (c *cluster) waitFor(name, conditionType, want string) *v1alpha1.NodeClassBinding {
	c.Helper()
	b := &v1alpha1.NodeClassBinding{}
	c.eventually(func() (string, error) {
		if err := c.admin.Get(context.Background(), client.ObjectKey{Name: name}, b); err != nil {
			return "", err
		}
		targets.CheckStatus(c, b)
		return targets.Describe(b, conditionType), nil
	}).Should(gomega.Equal(want))
	return b
}

func (c *cluster) remove(b *v1alpha1.NodeClassBinding) {
	c.Helper()
	c.must(c.admin.Delete(context.Background(), b))
	c.eventually(func() bool {
		return apierrors.IsNotFound(c.admin.Get(context.Background(), client.ObjectKeyFromObject(b), &v1alpha1.NodeClassBinding{}))
	}).Should(gomega.BeTrue(), "the binding is deleted")
}

func (c *cluster) class(name string) *unstructured.Unstructured {
	c.Helper()
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(classKind)
	c.must(c.admin.Get(context.Background(), client.ObjectKey{Name: name}, class))
	return class
}

func (c *cluster) devices(name string) []any {
	c.Helper()
	devices, _, err := unstructured.NestedSlice(c.class(name).Object, "spec", "blockDeviceMappings")
	c.must(err)
	return devices
}

// applyDevices writes the list as a GitOps tool does: by server-side apply, with force.
func (c *cluster) applyDevices(name, manager string, devices []any) {
	c.Helper()
	class := newClass(devices...)
	class.SetName(name)
	c.must(c.admin.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(class), client.FieldOwner(manager), client.ForceOwnership))
}

func (c *cluster) expectDevices(name string, want []any) {
	c.Helper()
	if diff := cmp.Diff(want, c.devices(name)); diff != "" {
		c.Errorf("devices of %s (-want +got):\n%s", name, diff)
	}
}

// expectNoTrace looks for anything of Larder's on a class.
func (c *cluster) expectNoTrace(name string) {
	c.Helper()
	class := c.class(name)
	if annotations := class.GetAnnotations(); len(annotations) > 0 {
		c.Errorf("annotations are left: %v", annotations)
	}
	for _, entry := range class.GetManagedFields() {
		if entry.Manager == "larder" {
			c.Errorf("Larder still owns fields: %s", entry.FieldsV1)
		}
	}
}

func testLateKarpenter(c *cluster, plane *controlplane.ControlPlane, release controlplane.KarpenterRelease) {
	c.completed("late", "snap-1", "40Gi")
	b := c.binding("late", v1alpha1.RolloutRoll)
	c.create(b)
	c.waitFor("late", v1alpha1.ConditionReady, "False TargetKindMissing")
	plane.InstallKarpenter(c, release)
	class := newClass()
	class.SetName("late")
	c.eventually(func() error {
		return c.admin.Create(context.Background(), class.DeepCopy())
	}).Should(gomega.Succeed())
	c.waitFor("late", v1alpha1.ConditionReady, "True Ready")
	c.expectDevices("late", []any{volume("/dev/xvda", "6Gi", "volumeType", "gp3", "encrypted", true), bound})
	c.remove(b)
	c.expectDevices("late", nil)
	c.expectNoTrace("late")
}

func testClaims(c *cluster) {
	claim := newClaim("claim", "claims")
	c.create(claim)
	b := c.bound("claims", v1alpha1.RolloutNewNodesOnly, root)
	c.waitFor("claims", v1alpha1.ConditionReady, "False NodesWouldBeReplaced")
	c.expectDevices("claims", []any{root})
	c.must(c.admin.Delete(context.Background(), claim))
	c.waitFor("claims", v1alpha1.ConditionReady, "True Ready")
	c.create(newClaim("claim", "claims"))
	c.renew("claims", "snap-2")
	c.waitFor("claims", v1alpha1.ConditionReady, "True NodesWouldBeReplaced")
	c.expectDevices("claims", []any{root, bound})
	c.must(c.admin.Delete(context.Background(), newClaim("claim", "claims")))
	c.waitFor("claims", v1alpha1.ConditionReady, "True Ready")
	c.remove(b)
	c.expectDevices("claims", []any{root})
	c.expectNoTrace("claims")
}

func testOtherWriters(c *cluster) {
	former := volume(device, "50Gi", "encrypted", true)
	b := c.bound("writers", v1alpha1.RolloutRoll, root, former)
	c.waitFor("writers", v1alpha1.ConditionReady, "True Ready")
	ours := volume(device, "50Gi", "encrypted", true, "snapshotID", "snap-1", "volumeType", "gp3", "throughput", int64(500))
	c.expectDevices("writers", []any{root, ours})

	// A person edits another device: it stays, and nobody is a rival.
	edited := volume("/dev/xvda", "16Gi")
	c.applyDevices("writers", "kubectl", []any{edited, ours})
	c.renew("writers", "snap-2")
	ours["ebs"].(map[string]any)["snapshotID"] = "snap-2"
	c.eventually(func() []any { return c.devices("writers") }).Should(gomega.Equal([]any{edited, ours}))

	// A program reverts ours, round after round.
	c.eventually(func() string {
		return c.waitFor("writers", v1alpha1.ConditionReady, "True Ready").Status.AppliedSnapshotID
	}).
		Should(gomega.Equal("snap-2"))
	for round := range 3 {
		c.applyDevices("writers", "argocd-controller", []any{root, former})
		c.eventually(func() int32 {
			if rival := c.waitFor("writers", v1alpha1.ConditionReady, "True Ready").Status.Rival; rival != nil {
				return rival.Reverts
			}
			return 0
		}).Should(gomega.Equal(int32(round + 1)))
		c.expectDevices("writers", []any{root, ours})
	}
	c.applyDevices("writers", "argocd-controller", []any{root, former})
	if rival := c.waitFor("writers", v1alpha1.ConditionStalled, "True RivalWriter").Status.Rival; rival.Manager != "argocd-controller" {
		c.Errorf("the rival is %q", rival.Manager)
	}
	c.expectDevices("writers", []any{root, former})

	// The rival gives in.
	c.applyDevices("writers", "argocd-controller", []any{root, ours})
	c.waitFor("writers", v1alpha1.ConditionReady, "True Ready")
	c.remove(b)
	c.expectDevices("writers", []any{root, former})
	c.expectNoTrace("writers")
}

func testTwoBindings(c *cluster) {
	first := c.bound("two", v1alpha1.RolloutRoll, root)
	c.waitFor("two", v1alpha1.ConditionReady, "True Ready")
	second := c.binding("zwei", v1alpha1.RolloutRoll)
	second.Spec.Snapshot.Ref, second.Spec.Target.EC2NodeClass.Name = &v1alpha1.SnapshotReference{Name: "two"}, "two"
	c.create(second)
	c.waitFor("zwei", v1alpha1.ConditionStalled, "True DeviceClaimedByOtherBinding")
	c.remove(first)
	c.waitFor("zwei", v1alpha1.ConditionReady, "True Ready")
	c.remove(second)
	c.expectDevices("two", []any{root})
	c.expectNoTrace("two")
}

// testDerived leaves the class that Git owns alone, and follows it.
func testDerived(c *cluster) {
	class := newClass(root)
	class.SetName("owned")
	c.completed("owned", "snap-1", "40Gi")
	b := c.binding("owned", v1alpha1.RolloutNewNodesOnly)
	b.Spec.Target.EC2NodeClass.Derive = &v1alpha1.DerivedNodeClass{Name: "owned-larder"}
	c.create(class, b)
	c.waitFor("owned", v1alpha1.ConditionReady, "True Ready")
	c.expectDevices("owned-larder", []any{root, bound})

	// A renewal waits for the derived class's nodes, and an edit of the class does not.
	c.create(newClaim("derived", "owned-larder"))
	c.renew("owned", "snap-2")
	c.waitFor("owned", v1alpha1.ConditionApplied, "False NodesWouldBeReplaced")
	edited := volume("/dev/xvda", "16Gi")
	c.applyDevices("owned", "argocd-controller", []any{edited})
	c.eventually(func() []any { return c.devices("owned-larder") }).Should(gomega.Equal([]any{edited, bound}))
	c.expectDevices("owned", []any{edited})
	c.must(c.admin.Delete(context.Background(), newClaim("derived", "owned-larder")))
	c.waitFor("owned", v1alpha1.ConditionApplied, "True Applied")

	c.remove(b)
	c.expectDevices("owned", []any{edited})
	c.expectNoTrace("owned")
}

// testApplyNow asks by the annotation alone, which changes no generation.
func testApplyNow(c *cluster) {
	c.create(newClaim("asked", "asked"))
	b := c.bound("asked", v1alpha1.RolloutNewNodesOnly, root)
	staged := c.waitFor("asked", v1alpha1.ConditionApplied, "False NodesWouldBeReplaced")
	if p := staged.Status.Pending; p == nil || p.SnapshotID != "snap-1" || p.NodesThatWouldBeReplaced != 1 || p.Since == nil {
		c.Errorf("pending: %+v", p)
	}
	c.must(c.admin.Get(context.Background(), client.ObjectKeyFromObject(b), b))
	b.Annotations = map[string]string{v1alpha1.AnnotationApplyNow: "now"}
	c.must(c.admin.Update(context.Background(), b))
	done := c.waitFor("asked", v1alpha1.ConditionApplied, "True Applied")
	if done.Status.LastHandledApplyNow != "now" || done.Status.Pending != nil {
		c.Errorf("after the request: %+v", done.Status)
	}
	c.expectDevices("asked", []any{root, bound})
	c.must(c.admin.Delete(context.Background(), newClaim("asked", "asked")))
	c.remove(b)
}

// testChangedSince plans on a class that then changes, or goes: the API server has to refuse the write.
func testChangedSince(c *cluster, plane *controlplane.ControlPlane) {
	operator, err := client.New(plane.Operator(c), client.Options{Scheme: controlplane.Scheme()})
	c.must(err)
	target := &ec2nodeclass.Target{Client: operator, Reader: operator, Cache: operator, Images: noImages{}}
	class := newClass(root)
	class.SetName("changed")
	c.create(class)
	observation, err := target.Observe(context.Background(), c.binding("changed", v1alpha1.RolloutRoll), binding.Heard)
	c.must(err)
	plan := observation.Plan(c.binding("changed", v1alpha1.RolloutRoll), binding.Snapshot{ID: "snap-1", SizeGiB: 40}, time.Now())

	expectConflict := func(when string) {
		c.Helper()
		var problem *binding.Problem
		if err := target.Act(context.Background(), plan.Write); !errors.As(err, &problem) || problem.Reason != v1alpha1.ReasonWriteConflict {
			c.Errorf("%s: got %v, want WriteConflict", when, err)
		}
	}
	edited := volume("/dev/xvda", "16Gi")
	c.applyDevices("changed", "kubectl", []any{edited})
	expectConflict("the class changed")
	c.expectDevices("changed", []any{edited})
	c.must(c.admin.Delete(context.Background(), c.class("changed")))
	expectConflict("the class is gone")
}

func testRefused(c *cluster) {
	devices := []any{root}
	for i := range 49 {
		devices = append(devices, volume(fmt.Sprintf("/dev/xvd%c%c", 'b'+i/26, 'a'+i%26), "1Gi"))
	}
	c.bound("full", v1alpha1.RolloutRoll, devices...)
	c.waitFor("full", v1alpha1.ConditionStalled, "True DeviceInvalid")
	c.applyDevices("full", "kubectl", devices[:49])
	c.waitFor("full", v1alpha1.ConditionReady, "True Ready")
}

// testDenied has an admission policy refuse the operator's writes, as a cluster's own policies may.
func testDenied(c *cluster) {
	policy := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
			"apiGroups": []any{classKind.Group}, "apiVersions": []any{"v1"}, "operations": []any{"UPDATE"}, "resources": []any{"ec2nodeclasses"},
		}}},
		"validations": []any{map[string]any{
			"expression": "object.metadata.name != 'denied' || !has(object.metadata.annotations)", "reason": "Forbidden",
			"message": "classes are written by the platform team",
		}},
	}}}
	policy.SetGroupVersionKind(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicy"})
	policy.SetName("platform-team")
	enforced := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"policyName": "platform-team", "validationActions": []any{"Deny"},
	}}}
	enforced.SetGroupVersionKind(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicyBinding"})
	enforced.SetName("platform-team")
	c.create(policy, enforced)
	class := newClass(root)
	class.SetName("denied")
	c.create(class)
	c.eventually(func() bool { // a policy takes a moment to be in force
		probe := c.class("denied")
		probe.SetAnnotations(map[string]string{"probe": "probe"})
		return apierrors.IsForbidden(c.admin.Update(context.Background(), probe, client.DryRunAll))
	}).Should(gomega.BeTrue())
	c.completed("denied", "snap-1", "40Gi")
	b := c.binding("denied", v1alpha1.RolloutRoll)
	c.create(b)
	c.waitFor("denied", v1alpha1.ConditionStalled, "True WriteDenied")
	c.expectDevices("denied", []any{root})
	c.remove(b)
}
