package karpenter_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/larder-dev/larder/test/karpenter"
)

const (
	classManifest = `
apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata: {name: gpu}
spec:
  role: nodes
  amiSelectorTerms: [{alias: bottlerocket@latest}]
  subnetSelectorTerms: [{id: subnet-0123456789abcdef0}]
  securityGroupSelectorTerms: [{id: sg-0123456789abcdef0}]
  blockDeviceMappings:
  - {deviceName: /dev/xvda, rootVolume: true, ebs: {volumeSize: 6Gi, volumeType: gp3}}
  - {deviceName: /dev/xvdb, ebs: {volumeSize: 50Gi, volumeType: gp3}}
`
	poolManifest = `
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: pool}
spec:
  template:
    metadata: {labels: {team: a}}
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      requirements:
      - {key: kubernetes.io/arch, operator: In, values: [amd64, arm64]}
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
      - {key: karpenter.k8s.aws/instance-generation, operator: Gt, values: ["6"]}
  disruption:
    consolidateAfter: 30s
    budgets: [{nodes: "100%"}]
`
	goodSnapshot = "snap-00000000000000001"
	badSnapshot  = "snap-0000000000000000b"
)

// world is a cluster with one class, one pool, and Karpenter's part in it.
type world struct {
	testing.TB
	*karpenter.Player
	clock *testingclock.FakePassiveClock
	// unusable are the snapshots that EC2 refuses.
	unusable map[string]bool
}

func newWorld(t testing.TB, c client.Client) *world {
	w := &world{TB: t, clock: testingclock.NewFakePassiveClock(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)), unusable: map[string]bool{}}
	w.Player = &karpenter.Player{Client: c, Clock: w.clock, Usable: func(id string) bool { return !w.unusable[id] }}
	for _, manifest := range []string{classManifest, poolManifest} {
		w.create(manifest)
	}
	w.settle()
	return w
}

// newFake is a cluster in memory, which has status subresources of the given kinds alone.
func newFake(withStatus ...schema.GroupVersionKind) client.Client {
	scheme, mapper := runtime.NewScheme(), meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{karpenter.EC2NodeClass, karpenter.NodePool, karpenter.NodeClaim} {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper)
	for _, kind := range withStatus {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind)
		builder = builder.WithStatusSubresource(object)
	}
	return builder.Build()
}

func (w *world) create(manifest string) {
	w.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		w.Fatal(err)
	}
	if err := w.Client.Create(w.Context(), object); err != nil {
		w.Fatal(err)
	}
}

func (w *world) settle() {
	w.Helper()
	if err := w.Settle(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) get(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	w.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if err := w.Client.Get(w.Context(), client.ObjectKey{Name: name}, object); err != nil {
		w.Fatal(err)
	}
	return object
}

func (w *world) class() *unstructured.Unstructured { return w.get(karpenter.EC2NodeClass, "gpu") }
func (w *world) pool() *unstructured.Unstructured  { return w.get(karpenter.NodePool, "pool") }
func (w *world) claim(name string) *unstructured.Unstructured {
	return w.get(karpenter.NodeClaim, name)
}

func (w *world) isGone(claim string) bool {
	w.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(karpenter.NodeClaim)
	err := w.Client.Get(w.Context(), client.ObjectKey{Name: claim}, object)
	if client.IgnoreNotFound(err) != nil {
		w.Fatal(err)
	}
	return errors.IsNotFound(err)
}

// edit has a person change an object.
func (w *world) edit(object *unstructured.Unstructured, change func(spec map[string]any)) {
	w.Helper()
	change(object.Object["spec"].(map[string]any))
	if err := w.Client.Update(w.Context(), object); err != nil {
		w.Fatal(err)
	}
}

// bootFrom has the data device of the class name a snapshot, or none.
func (w *world) bootFrom(snapshot string) {
	w.Helper()
	w.edit(w.class(), func(spec map[string]any) {
		ebs := device(spec, 1)["ebs"].(map[string]any)
		delete(ebs, "snapshotID")
		if snapshot != "" {
			ebs["snapshotID"] = snapshot
		}
	})
}

func device(spec map[string]any, i int) map[string]any {
	return spec["blockDeviceMappings"].([]any)[i].(map[string]any)
}

// nodes launches claims whose nodes come up.
func (w *world) nodes(count int) []string {
	w.Helper()
	var names []string
	for range count {
		names = append(names, w.launch())
		if err := w.Ready(w.Context(), names[len(names)-1]); err != nil {
			w.Fatal(err)
		}
	}
	w.settle()
	return names
}

func (w *world) launch() string {
	w.Helper()
	name, err := w.Launch(w.Context(), "pool")
	if err != nil {
		w.Fatal(err)
	}
	return name
}

func (w *world) disrupt() karpenter.Round {
	w.Helper()
	round, err := w.Disrupt(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return round
}

// condition returns what a condition says; the zero value when there is none.
func (w *world) condition(object *unstructured.Unstructured, name string) metav1.Condition {
	w.Helper()
	list, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		w.Fatal(err)
	}
	for _, entry := range list {
		var one metav1.Condition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(entry.(map[string]any), &one); err != nil {
			w.Fatal(err)
		}
		if one.Type == name {
			return one
		}
	}
	return metav1.Condition{}
}

// says fails the test unless a condition has a status and a reason.
func (w *world) says(object *unstructured.Unstructured, name, status, reason string) {
	w.Helper()
	if got := w.condition(object, name); string(got.Status) != status || got.Reason != reason {
		w.Errorf("%s %s: %s is %q by %q (%s), want %q by %q", object.GetKind(), object.GetName(), name,
			got.Status, got.Reason, got.Message, status, reason)
	}
}
