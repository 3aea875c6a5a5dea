package volumesnapshot

import (
	"context"
	"errors"
	"testing"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// clusterWith is an API server with a namespace, which answers lists and creations as told.
func clusterWith(t *testing.T, funcs interceptor.Funcs) *Target {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), snapshotv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "models"}}
	server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(namespace).WithInterceptorFuncs(funcs).Build()
	return &Target{Client: server, Reader: server}
}

var errDenied = apierrors.NewForbidden(schema.GroupResource{Group: snapshotv1.GroupName, Resource: "volumesnapshots"}, "llama", errors.New("no role"))

func TestWhatCannotBeRead(t *testing.T) {
	cases := map[string]struct {
		reason  string
		err     error
		because string
	}{
		"denied":            {"a person extends the role", errDenied, v1alpha1.ReasonTargetUnreadable},
		"removed meanwhile": {"the mapper still knows the kind", apierrors.NewNotFound(schema.GroupResource{Resource: "volumesnapshotcontents"}, ""), v1alpha1.ReasonTargetKindMissing},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			target := clusterWith(t, interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return c.err }})
			seen, err := target.Observe(t.Context(), bindingAt(older), binding.Heard)
			if err != nil {
				t.Fatal(err)
			}
			plan := seen.Plan(bindingAt(older), binding.Snapshot{ID: newer}, now)
			if plan.Problem == nil || plan.Problem.Reason != c.because || plan.Problem.RetryAfter == 0 || plan.Write != nil || plan.Upkeep != nil {
				t.Errorf("%s: %+v", c.reason, plan)
			}
		})
	}
	broken := clusterWith(t, interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return apierrors.NewInternalError(errors.New("etcd"))
	}})
	if seen, err := broken.Observe(t.Context(), bindingAt(older), binding.Heard); err == nil {
		t.Errorf("a server that fails counts as one without a VolumeSnapshot: %+v", seen)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	ends := apierrors.NewForbidden(schema.GroupResource{}, "llama", errors.New("being deleted"))
	ends.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	resource := schema.GroupResource{Resource: "volumesnapshots"}
	cases := map[string]struct {
		reason  string
		err     error
		because string
		stalled bool
	}{
		"denied":           {"a person extends the role", errDenied, v1alpha1.ReasonWriteDenied, true},
		"a namespace ends": {"that is no matter of roles", ends, v1alpha1.ReasonTargetMissing, false},
		"held":             {"its finalizer may go", apierrors.NewAlreadyExists(resource, "llama"), v1alpha1.ReasonWriteConflict, false},
		"changed":          {"it is read again", apierrors.NewConflict(resource, "llama", errors.New("changed")), v1alpha1.ReasonWriteConflict, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			target := clusterWith(t, interceptor.Funcs{Create: func(_ context.Context, server client.WithWatch, object client.Object, _ ...client.CreateOption) error {
				if _, ok := object.(*snapshotv1.VolumeSnapshot); ok {
					return c.err
				}
				return server.Create(t.Context(), object)
			}})
			b := bindingAt("")
			seen, err := target.Observe(t.Context(), b, binding.Live)
			if err != nil {
				t.Fatal(err)
			}
			var problem *binding.Problem
			err = target.Act(t.Context(), seen.Plan(b, binding.Snapshot{ID: newer, Format: v1alpha1.FormatFiles}, now).Write)
			if !errors.As(err, &problem) || problem.Reason != c.because || problem.Stalled != c.stalled || problem.RetryAfter == 0 {
				t.Errorf("%s: %+v", c.reason, err)
			}
		})
	}
}

// TestAContentWithoutItsLabel: making it again would fail for ever, and somebody has to know.
func TestAContentWithoutItsLabel(t *testing.T) {
	b := bindingAt("")
	target := clusterWith(t, interceptor.Funcs{})
	content := newContent(b, newer)
	content.Labels = nil
	if err := target.Client.Create(t.Context(), content); err != nil {
		t.Fatal(err)
	}
	seen, err := target.Observe(t.Context(), b, binding.Live)
	if err != nil {
		t.Fatal(err)
	}
	var problem *binding.Problem
	err = target.Act(t.Context(), seen.Plan(b, binding.Snapshot{ID: newer, Format: v1alpha1.FormatFiles}, now).Write)
	want := "VolumeSnapshotContent larder-uid-snap-0000000b exists without the label larder.dev/binding-uid that Larder made it with: delete it"
	if !errors.As(err, &problem) || problem.Reason != v1alpha1.ReasonVolumeSnapshotExists || problem.Message != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
