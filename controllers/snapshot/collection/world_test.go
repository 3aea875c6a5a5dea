package collection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/launch"
)

var (
	classKind   = schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"}
	contentKind = schema.GroupVersionKind{Group: "snapshot.storage.k8s.io", Version: "v1", Kind: "VolumeSnapshotContent"}
)

// world is a cluster and an account, with one operator process at a time.
type world struct {
	t       *testing.T
	clock   *clocktesting.FakeClock
	client  client.WithWatch
	account map[string]*region
	events  *events.FakeRecorder

	// before and after are called around each call of the collector, with its name; before may fail it.
	before func(call string) error
	after  func(call string)

	collector *Collector
	// collected are the objects that were told to have a revision less.
	collected []string
}

// region is one Region of the account as the collector sees it.
type region struct {
	world     *world
	name      string
	snapshots map[string]ebs.Snapshot
	restores  map[string]map[string]string
	uses      []launch.Use
	// kept are snapshots that an AMI is made of.
	kept map[string]bool
	// onDelete sees each deletion before it takes effect.
	onDelete func(id string)
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(larderv1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []schema.GroupVersionKind{classKind, contentKind} {
		scheme.AddKnownTypeWithName(kind, &unstructured.Unstructured{})
		scheme.AddKnownTypeWithName(kind.GroupVersion().WithKind(kind.Kind+"List"), &unstructured.UnstructuredList{})
	}
	w := &world{
		t: t, clock: clocktesting.NewFakeClock(noon), account: map[string]*region{},
		events: &events.FakeRecorder{Events: make(chan string, 10_000), Verbose: true},
		client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(),
		before: func(string) error { return nil }, after: func(string) {},
	}
	for _, name := range []string{home, away} {
		w.account[name] = &region{
			world: w, name: name, snapshots: map[string]ebs.Snapshot{}, restores: map[string]map[string]string{},
			kept: map[string]bool{}, onDelete: func(string) {},
		}
	}
	w.start()
	return w
}

// start starts the operator anew.
func (w *world) start() {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{classKind.GroupVersion(), contentKind.GroupVersion()})
	mapper.Add(classKind, meta.RESTScopeRoot)
	mapper.Add(contentKind, meta.RESTScopeRoot)
	watched := interceptor.NewClient(w.client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return w.call(fmt.Sprintf("Get %T", object), func() error { return c.Get(ctx, key, object, options...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return w.call(fmt.Sprintf("List %T", list), func() error { return c.List(ctx, list, options...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return w.call("Patch", func() error { return c.Patch(ctx, object, patch, options...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return w.call("Create", func() error { return c.Create(ctx, object, options...) })
		},
	})
	w.collector = &Collector{
		Collected: func(object *larderv1alpha1.ImageCacheSnapshot) { w.collected = append(w.collected, object.Name) },
		Client:    watched, Live: watched,
		References: references.Reader{Live: watched, Mapper: mapper},
		Regions: func(name string) Region {
			if w.account[name] == nil {
				w.t.Errorf("the collector works in Region %s", name)
			}
			return Region{Snapshots: w.account[name], Consumers: []references.Consumers{w.account[name]}}
		},
		CopiedTo: copiedTo, Recorder: w.events, Clock: w.clock,
		ClusterUID: cluster, Home: home, Namespace: "larder-system",
	}
}

func (w *world) call(name string, effect func() error) error {
	if err := w.before(name); err != nil {
		return err
	}
	err := effect()
	w.after(name)
	return err
}

func (w *world) put(region string, snapshots ...ebs.Snapshot) {
	for _, one := range snapshots {
		w.account[region].snapshots[one.ID] = one
	}
}

// ids are those of a Region's snapshots, sorted.
func (w *world) ids(region string) []string {
	return slices.Sorted(maps.Keys(w.account[region].snapshots))
}

// sweep wants a sweep to succeed.
func (w *world) sweep() {
	w.t.Helper()
	if err := w.collector.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// told returns the events since it was last called.
func (w *world) told() []string {
	var told []string
	for {
		select {
		case one := <-w.events.Events:
			told = append(told, one)
		default:
			return told
		}
	}
}

func (r *region) call(name string, effect func() error) error {
	return r.world.call(name+" "+r.name, effect)
}

func (r *region) Find(_ context.Context, tags map[string]string) (found []ebs.Snapshot, err error) {
	err = r.call("Find", func() error {
		for _, one := range r.snapshots {
			carries := true
			for key, value := range tags {
				carries = carries && one.Tags[key] == value
			}
			if carries {
				one.Tags = maps.Clone(one.Tags)
				found = append(found, one)
			}
		}
		slices.SortFunc(found, func(a, b ebs.Snapshot) int { return strings.Compare(a.ID, b.ID) })
		slices.SortStableFunc(found, func(a, b ebs.Snapshot) int { return a.StartTime.Compare(b.StartTime) })
		return nil
	})
	return found, err
}

func (r *region) Tag(_ context.Context, id string, tags map[string]string) error {
	return r.call("Tag", func() error {
		one, there := r.snapshots[id]
		if !there {
			return &smithy.GenericAPIError{Code: "InvalidSnapshot.NotFound", Message: id}
		}
		one.Tags = maps.Clone(one.Tags)
		maps.Copy(one.Tags, tags)
		r.snapshots[id] = one
		return nil
	})
}

func (r *region) FastRestores(_ context.Context, ids []string) (found []ebs.FastRestore, err error) {
	err = r.call("FastRestores", func() error {
		for _, id := range ids {
			for zone, state := range r.restores[id] {
				found = append(found, ebs.FastRestore{SnapshotID: id, AvailabilityZone: zone, State: state})
			}
		}
		return nil
	})
	return found, err
}

func (r *region) DisableFastRestore(_ context.Context, id string, zones []string) error {
	return r.call("Disable", func() error {
		for _, zone := range zones {
			r.restores[id][zone] = ebs.FastRestoreDisabling
		}
		return nil
	})
}

func (r *region) Delete(_ context.Context, id string) error {
	return r.call("Delete", func() error {
		if r.kept[id] {
			return &smithy.GenericAPIError{Code: "InvalidSnapshot.InUse", Message: "in use by ami-1"}
		}
		if _, there := r.snapshots[id]; there {
			r.onDelete(id)
		}
		delete(r.snapshots, id)
		return nil
	})
}

func (r *region) SnapshotUses(context.Context) (uses []launch.Use, err error) {
	err = r.call("SnapshotUses", func() error {
		uses = r.uses
		return nil
	})
	return uses, err
}

// due is an orphan whose grace is over.
func due(id string, revision int64, pairs ...string) ebs.Snapshot {
	return made(id, goneUID, revision, append([]string{ebs.TagSupersededAt, ago(2 * time.Hour), tagOrphanedAt, ago(2 * time.Hour)}, pairs...)...)
}

func accessDenied() error {
	return &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation."}
}
