package snapshot

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/controlplane"
)

// testManager runs the controller as cmd does: watches, wake-ups by the runner, events, and the cluster's name.
func testManager(t *testing.T, plane *controlplane.ControlPlane, config *rest.Config) {
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: controlplane.Scheme(),
		Logger: testr.New(t),
		// The API server of a test is nobody's to scrape.
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	clusterUID, err := ClusterUID(t.Context(), manager.GetAPIReader())
	if err != nil {
		t.Fatal(err)
	}
	ebs := newCloud(t, clock.RealClock{})
	ebs.complete = 0
	builder := &pacedBuilder{
		cloud: ebs, contents: map[string][]image.Image{}, killed: make(chan struct{}),
		fault: func(string) error { return nil },
		spoil: func() bool { return false },
	}
	reconciler := &Reconciler{
		Client: manager.GetClient(), Live: manager.GetAPIReader(),
		Registries: &registry{}, Snapshots: ebs, Contents: builder, Keys: keys{},
		References: references.Reader{Live: manager.GetAPIReader(), Mapper: manager.GetRESTMapper()},
		Consumers:  []references.Consumers{&beside{}}, Distribution: &beside{}, Collection: &beside{},
		Runner:   NewRunner(builder, 1, clock.RealClock{}),
		Recorder: manager.GetEventRecorder("larder"), Clock: clock.RealClock{},
		ClusterUID: clusterUID, Region: "eu-central-1",
	}
	if err := reconciler.SetupWithManager(manager); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with: %v", err)
		}
	}()

	object := &larderv1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "watched"}, Spec: specOf("a")}
	if err := plane.Admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Ready", func(ctx context.Context) (bool, error) {
		err := plane.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
		return meta.IsStatusConditionTrue(object.Status.Conditions, larderv1alpha1.ConditionReady), err
	})
	checkStatus(t, object)
	eventually(t, "an event tells that it is Ready", func(ctx context.Context) (bool, error) {
		told := &eventsv1.EventList{}
		err := plane.Admin.List(ctx, told)
		for _, one := range told.Items {
			if one.Regarding.Name == object.Name && one.Reason == larderv1alpha1.ReasonReady {
				return true, err
			}
		}
		return false, err
	})
	if err := plane.Admin.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	eventually(t, "gone", func(ctx context.Context) (bool, error) {
		err := plane.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
		return err != nil, client.IgnoreNotFound(err)
	})
}

func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
