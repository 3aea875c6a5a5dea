package references_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws/launch"
)

var (
	karpenter = schema.GroupVersion{Group: "karpenter.k8s.aws", Version: "v1"}
	csi       = schema.GroupVersion{Group: "snapshot.storage.k8s.io", Version: "v1"}
)

const ebsDriver = "ebs.csi.aws.com"

// templates answer with these uses, or with an error.
type templates struct {
	uses []launch.Use
	err  error
}

func (t templates) SnapshotUses(context.Context) ([]launch.Use, error) { return t.uses, t.err }

func schemeOf(t *testing.T, others ...schema.GroupVersionKind) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := larderv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, kind := range others {
		scheme.AddKnownTypeWithName(kind, &unstructured.Unstructured{})
		scheme.AddKnownTypeWithName(kind.GroupVersion().WithKind(kind.Kind+"List"), &unstructured.UnstructuredList{})
	}
	return scheme
}

// kindsOf are the kinds of others in a cluster that has Karpenter's classes, and the kinds of CSI, in these versions; an
// empty one stands for a cluster without.
func kindsOf(classes, csi schema.GroupVersion) []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	if !classes.Empty() {
		kinds = append(kinds, classes.WithKind("EC2NodeClass"))
	}
	if !csi.Empty() {
		kinds = append(kinds, csi.WithKind("VolumeSnapshotContent"))
	}
	return kinds
}

func readerOf(t *testing.T, classes, csi schema.GroupVersion, objects ...client.Object) references.Reader {
	t.Helper()
	kinds := kindsOf(classes, csi)
	built := fake.NewClientBuilder().WithScheme(schemeOf(t, kinds...)).WithObjects(objects...).Build()
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{classes, csi})
	for _, kind := range kinds {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	return references.Reader{Live: built, Mapper: mapper}
}

// contentOf is a VolumeSnapshotContent with these fields of its spec and status.
func contentOf(version schema.GroupVersion, spec, status map[string]any) *unstructured.Unstructured {
	content := &unstructured.Unstructured{Object: map[string]any{"spec": spec, "status": status}}
	content.SetGroupVersionKind(version.WithKind("VolumeSnapshotContent"))
	content.SetName("models")
	return content
}

func provisioned(driver string, handle any) map[string]any {
	return map[string]any{"driver": driver, "source": map[string]any{"snapshotHandle": handle}}
}

func classOf(version schema.GroupVersion, devices ...any) *unstructured.Unstructured {
	class := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"blockDeviceMappings": devices}}}
	class.SetGroupVersionKind(version.WithKind("EC2NodeClass"))
	class.SetName("gpu")
	return class
}

func deviceOf(snapshotID string) map[string]any {
	return map[string]any{"deviceName": "/dev/xvdb", "ebs": map[string]any{"snapshotID": snapshotID}}
}

func objectOf(change func(*larderv1alpha1.ImageCacheSnapshot)) *larderv1alpha1.ImageCacheSnapshot {
	object := &larderv1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "inference", UID: "uid"}}
	change(object)
	return object
}

func bindingOf(change func(*larderv1alpha1.NodeClassBinding)) *larderv1alpha1.NodeClassBinding {
	binding := &larderv1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}
	binding.Spec.Snapshot.Ref = &larderv1alpha1.SnapshotReference{Name: "inference"}
	change(binding)
	return binding
}

func building(step larderv1alpha1.BuildStep) client.Object {
	return objectOf(func(o *larderv1alpha1.ImageCacheSnapshot) {
		o.Status.Build = &larderv1alpha1.BuildStatus{Step: step, ParentSnapshotID: "snap-parent", SnapshotID: "snap-new"}
	})
}

func TestWhoUsesASnapshot(t *testing.T) {
	cases := map[string]struct {
		reason    string
		objects   []client.Object
		templates templates
		snapshot  string
		want      []string
	}{
		"node class": {
			reason:  "Karpenter makes nodes with it, and other devices name nothing",
			objects: []client.Object{classOf(karpenter, map[string]any{"deviceName": "/dev/xvda"}, deviceOf("snap-1"))},

			snapshot: "snap-1", want: []string{"ec2nodeclass/gpu"},
		},
		"another device": {
			reason:   "no more than what is named",
			objects:  []client.Object{classOf(karpenter, deviceOf("snap-1"))},
			snapshot: "snap-2",
		},
		"applied": {
			reason:   "a binding has written it, though the class may not show it yet",
			objects:  []client.Object{bindingOf(func(b *larderv1alpha1.NodeClassBinding) { b.Status.AppliedSnapshotID = "snap-1" })},
			snapshot: "snap-1", want: []string{"nodeclassbinding/gpu"},
		},
		"last known good": {
			reason:   "the way back",
			objects:  []client.Object{bindingOf(func(b *larderv1alpha1.NodeClassBinding) { b.Status.LastKnownGoodSnapshotID = "snap-1" })},
			snapshot: "snap-1", want: []string{"nodeclassbinding/gpu"},
		},
		"binding that waits with it": {
			reason: "the rollout writes it once it may, and it has to be there then",
			objects: []client.Object{bindingOf(func(b *larderv1alpha1.NodeClassBinding) {
				b.Status.Pending = &larderv1alpha1.PendingChange{SnapshotID: "snap-1"}
			})},
			snapshot: "snap-1", want: []string{"nodeclassbinding/gpu"},
		},
		"binding to its id": {
			reason: "it is named as it is, whoever made it",
			objects: []client.Object{bindingOf(func(b *larderv1alpha1.NodeClassBinding) {
				b.Spec.Snapshot = larderv1alpha1.SnapshotSource{ID: "snap-1"}
			})},
			snapshot: "snap-1", want: []string{"nodeclassbinding/gpu"},
		},
		"current": {
			reason:   "bindings take it at any moment",
			objects:  []client.Object{objectOf(func(o *larderv1alpha1.ImageCacheSnapshot) { o.Status.SnapshotID = "snap-1" })},
			snapshot: "snap-1", want: []string{"imagecachesnapshot/inference"},
		},
		"parent of an attempt that starts": {
			reason: "EBS reads it until the child is completed", objects: []client.Object{building(larderv1alpha1.BuildStarting)},
			snapshot: "snap-parent", want: []string{"imagecachesnapshot/inference"},
		},
		"parent of an attempt that writes": {
			reason: "the same", objects: []client.Object{building(larderv1alpha1.BuildWriting)},
			snapshot: "snap-parent", want: []string{"imagecachesnapshot/inference"},
		},
		"parent of an attempt that completes": {
			reason: "the same", objects: []client.Object{building(larderv1alpha1.BuildCompleting)},
			snapshot: "snap-parent", want: []string{"imagecachesnapshot/inference"},
		},
		"parent of an attempt that failed": {
			reason: "nobody reads it any more", objects: []client.Object{building(larderv1alpha1.BuildFailed)},
			snapshot: "snap-parent",
		},
		"being built": {
			reason: "it will be the next", objects: []client.Object{building(larderv1alpha1.BuildCompleting)},
			snapshot: "snap-new", want: []string{"imagecachesnapshot/inference"},
		},
		"pinned": {
			reason: "it is about to be the current one",
			objects: []client.Object{objectOf(func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.Spec.Revision = new(int64(2))
				o.Status.Revisions = []larderv1alpha1.RevisionStatus{{Number: 3, SnapshotID: "snap-3"}, {Number: 2, SnapshotID: "snap-2"}}
			})},
			snapshot: "snap-2", want: []string{"imagecachesnapshot/inference"},
		},
		"launch template": {
			reason:    "an Auto Scaling group launches with it",
			templates: templates{uses: []launch.Use{{Name: "launch template lt-1 (workers) version 3, default", SnapshotIDs: []string{"snap-1"}}}},
			snapshot:  "snap-1", want: []string{"launch template lt-1 (workers) version 3, default"},
		},
		"content that names it": {
			reason:   "claims make volumes of it, whoever made the object",
			objects:  []client.Object{contentOf(csi, provisioned(ebsDriver, "snap-1"), nil)},
			snapshot: "snap-1", want: []string{"volumesnapshotcontent/models"},
		},
		"content whose driver took it": {
			reason: "such a one names a volume, and its status the snapshot",
			objects: []client.Object{contentOf(csi, map[string]any{"driver": ebsDriver, "source": map[string]any{"volumeHandle": "vol-1"}},
				map[string]any{"snapshotHandle": "snap-1"})},
			snapshot: "snap-1", want: []string{"volumesnapshotcontent/models"},
		},
		"content of another driver": {
			reason:   "its handles are not EBS's, whatever they look like",
			objects:  []client.Object{contentOf(csi, provisioned("csi.example.com", "snap-1"), nil)},
			snapshot: "snap-1",
		},
		"no snapshot": {
			reason:   "what has none of its own uses none of others",
			objects:  []client.Object{objectOf(func(*larderv1alpha1.ImageCacheSnapshot) {}), bindingOf(func(*larderv1alpha1.NodeClassBinding) {})},
			snapshot: "",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := readerOf(t, karpenter, csi, c.objects...).List(t.Context(), c.templates)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, found.Of(c.snapshot)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestPinKnowsTheObject(t *testing.T) {
	object := objectOf(func(o *larderv1alpha1.ImageCacheSnapshot) { o.Spec.Revision = new(int64(2)) })
	found, err := readerOf(t, karpenter, csi, object).List(t.Context(), templates{})
	if err != nil {
		t.Fatal(err)
	}
	if got := found.OfRevision("uid", 2); len(got) != 1 {
		t.Errorf("a status that does not list the revision leaves it unpinned: %q", got)
	}
	if got := append(found.OfRevision("other", 2), found.OfRevision("uid", 3)...); len(got) != 0 {
		t.Errorf("pinned are more than one revision of one object: %q", got)
	}
}

func TestWhatADeletionWaitsFor(t *testing.T) {
	object := objectOf(func(o *larderv1alpha1.ImageCacheSnapshot) { o.Status.SnapshotID = "snap-1" })
	refers := bindingOf(func(*larderv1alpha1.NodeClassBinding) {})
	found, err := readerOf(t, karpenter, csi, object, refers, classOf(karpenter, deviceOf("snap-1"))).List(t.Context(), templates{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ec2nodeclass/gpu", "nodeclassbinding/gpu"}, found.OfObject("inference", "snap-1")); diff != "" {
		t.Errorf("the object itself does not count, a binding that names no snapshot yet does (-want +got):\n%s", diff)
	}
	if got := found.OfObject("training", "snap-2"); len(got) != 0 {
		t.Errorf("an object that nobody refers to waits for %q", got)
	}
	if got := found.Without("inference").Of("snap-1"); len(got) != 1 {
		t.Errorf("users of snap-1 beside its own object: %q, want the class", got)
	}
}

func TestClustersWithoutKarpenter(t *testing.T) {
	found, err := readerOf(t, schema.GroupVersion{}, csi, contentOf(csi, provisioned(ebsDriver, "snap-1"), nil)).List(t.Context(), templates{})
	if err != nil || len(found.Of("snap-1")) != 1 {
		t.Errorf("a cluster without Karpenter's kinds has none of its classes, and contents all the same: %q, %v", found.Of("snap-1"), err)
	}
}

func TestClustersWithoutCSI(t *testing.T) {
	found, err := readerOf(t, karpenter, schema.GroupVersion{}, classOf(karpenter, deviceOf("snap-1"))).List(t.Context(), templates{})
	if err != nil || len(found.Of("snap-1")) != 1 {
		t.Errorf("a cluster without the kinds of CSI has no contents, and classes all the same: %q, %v", found.Of("snap-1"), err)
	}
}

func TestClassesOfALaterVersion(t *testing.T) {
	later := schema.GroupVersion{Group: karpenter.Group, Version: "v2"}
	found, err := readerOf(t, later, csi, classOf(later, deviceOf("snap-1"))).List(t.Context(), templates{})
	if err != nil {
		t.Fatal(err)
	}
	if got := found.Of("snap-1"); len(got) != 1 {
		t.Errorf("users of snap-1: %q: a class boots nodes whatever its version is", got)
	}
}

func TestContentsOfALaterVersion(t *testing.T) {
	later := schema.GroupVersion{Group: csi.Group, Version: "v2"}
	found, err := readerOf(t, karpenter, later, contentOf(later, provisioned(ebsDriver, "snap-1"), nil)).List(t.Context(), templates{})
	if err != nil {
		t.Fatal(err)
	}
	if got := found.Of("snap-1"); len(got) != 1 {
		t.Errorf("users of snap-1: %q: claims are made from a content whatever its version is", got)
	}
}

// Each kind of consumer alone keeps a snapshot, in whichever place of the list it is.
func TestEachConsumerIsAsked(t *testing.T) {
	var consumers []references.Consumers
	names := []string{"launch template lt-1 version 3", "EKS node group prod/gpu", "Batch compute environment gpu", "ECS service prod/inference"}
	for _, name := range names {
		consumers = append(consumers, templates{uses: []launch.Use{{Name: name, SnapshotIDs: []string{"of " + name}}}})
	}
	found, err := readerOf(t, karpenter, csi).List(t.Context(), consumers...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if diff := cmp.Diff([]string{name}, found.Of("of "+name)); diff != "" {
			t.Errorf("users of its snapshot (-want +got):\n%s", diff)
		}
	}
	for i := range consumers {
		broken := append([]references.Consumers(nil), consumers...)
		broken[i] = templates{err: errors.New("throttled")}
		if _, err := readerOf(t, karpenter, csi).List(t.Context(), broken...); err == nil || !strings.Contains(err.Error(), "throttled") {
			t.Errorf("%s that cannot be read counts as none: %v", names[i], err)
		}
	}
}

// failing lists everything but one kind.
type failing struct {
	client.Reader
	scheme *runtime.Scheme
	kind   string
}

func (f failing) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	kind, err := apiutil.GVKForObject(list, f.scheme)
	if err != nil {
		return err
	}
	if kind.Kind == f.kind {
		return errors.New("forbidden")
	}
	return f.Reader.List(ctx, list, options...)
}

// broken is an API server that cannot tell what kinds it has.
type broken struct{ meta.RESTMapper }

func (broken) RESTMapping(schema.GroupKind, ...string) (*meta.RESTMapping, error) {
	return nil, errors.New("unavailable")
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	for _, kind := range []string{"ImageCacheSnapshotList", "NodeClassBindingList", "EC2NodeClassList", "VolumeSnapshotContentList"} {
		reader := readerOf(t, karpenter, csi)
		reader.Live = failing{reader.Live, schemeOf(t, kindsOf(karpenter, csi)...), kind}
		if _, err := reader.List(t.Context(), templates{}); err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("a %s that cannot be had counts as empty: %v", kind, err)
		}
	}
	reader := readerOf(t, karpenter, csi)
	if _, err := reader.List(t.Context(), templates{err: errors.New("throttled")}); err == nil {
		t.Error("launch templates that cannot be read count as none")
	}
	reader.Mapper = broken{reader.Mapper}
	if _, err := reader.List(t.Context(), templates{}); err == nil {
		t.Error("an API server that does not answer counts as one without Karpenter")
	}
	for name, device := range map[string]any{
		"no object": "not a mapping",
		"no string": map[string]any{"ebs": map[string]any{"snapshotID": int64(1)}},
	} {
		if _, err := readerOf(t, karpenter, csi, classOf(karpenter, device)).List(t.Context(), templates{}); err == nil {
			t.Errorf("%s: a device that nobody understands counts as one without a snapshot", name)
		}
	}
	for name, spec := range map[string]map[string]any{
		"a driver that is no string":   {"driver": int64(1)},
		"a snapshot that is no string": provisioned(ebsDriver, int64(1)),
	} {
		if _, err := readerOf(t, karpenter, csi, contentOf(csi, spec, nil)).List(t.Context(), templates{}); err == nil {
			t.Errorf("%s: a content that nobody understands counts as one without a snapshot", name)
		}
	}
}

// What AWS refuses is told with the permission to give, before AWS's own long words.
func TestADeniedConsumerNamesThePermission(t *testing.T) {
	denied := &smithy.OperationError{ServiceID: "EKS", OperationName: "ListNodegroups", Err: &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}}
	_, err := readerOf(t, karpenter, csi).List(t.Context(), templates{err: denied})
	if want := "finding out what may make volumes of a snapshot (allow Larder's role eks:ListNodegroups): "; err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, denied) {
		t.Errorf("%v, want %s and so on", err, want)
	}
}
