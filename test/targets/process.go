package targets

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/ssm"
	"github.com/larder-dev/larder/test/controlplane"
	"github.com/larder-dev/larder/test/fakeaws"
)

// Process is what targets are made of in one life of the operator. What they do by it ends with that life.
type Process struct {
	// Client reads and writes as the operator may.
	Client client.Client
	// AWS is for the unmodified SDK, in the world's Region.
	AWS larderaws.Config
	// Clock is the world's.
	Clock clock.PassiveClock
	// Recorder takes events; World.Events returns them.
	Recorder events.EventRecorder
}

// errEnded is what a process gets for each request from its end on.
var errEnded = errors.New("the operator has ended")

// change is a request that changes something.
type change struct {
	what string
	// ofBinding tells that it is about the binding itself: its finalizer or its status.
	ofBinding bool
}

// crash is where the operator ends.
type crash struct {
	// at is the number of the change, from 1; 0 for none.
	at int
	// answerLost tells that the change has its effect.
	answerLost bool
}

// process is one life of the operator.
type process struct {
	world      *World
	reconciler *binding.Reconciler

	mu    sync.Mutex
	ended bool
}

// Restart replaces the operator by one that remembers nothing. What the one before still tries has no effect.
func (w *World) Restart() {
	w.Helper()
	if w.process != nil {
		w.process.end()
	}
	p := &process{world: w}
	cfg := w.AWS.ConfigThrough(func(action string, send func() error) error {
		return p.through(change{what: action}, fakeaws.IsMutating(action), send)
	})
	if w.options.Configure != nil {
		w.options.Configure(&cfg)
	}
	// The only one of the clients here with waits of its own reads nothing but snapshots.
	snapshots := ebs.New(cfg, ebs.Options{Clock: w.Clock})
	api := p.gated(w.asOperator())
	targets := w.options.Targets(Process{Client: api, AWS: cfg, Clock: w.Clock, Recorder: w.recorder})
	p.reconciler = &binding.Reconciler{
		Client: withIndexes(api, targets), Reader: api, Recorder: w.recorder, Clock: w.Clock, Targets: targets,
		Source: &binding.SnapshotSource{
			Client: api, Snapshots: snapshots, Keys: kms.New(cfg), Parameters: ssm.New(cfg), Region: Region, Clock: w.Clock,
			Account: func(ctx context.Context) (string, error) {
				identity, err := larderaws.Identify(ctx, cfg)
				return identity.AccountID, err
			},
		},
	}
	w.process = p
}

func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

func (p *process) hasEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// through sends a request of the process, unless it has ended or ends here.
func (p *process) through(what change, mutates bool, send func() error) error {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return errEnded
	}
	w := p.world
	if mutates {
		w.changes = append(w.changes, what)
		p.ended = w.crash.at == len(w.changes)
	}
	ends := p.ended
	p.mu.Unlock()
	if ends && !w.crash.answerLost {
		return errEnded
	}
	err := send()
	if ends {
		return errEnded
	}
	return err
}

// asOperator is the API server as the operator may use it.
func (w *World) asOperator() client.WithWatch {
	w.Helper()
	if w.options.Plane == nil {
		return w.Client
	}
	config := w.options.Plane.Operator(w)
	config.QPS = -1 // a day goes by in seconds
	made, err := client.NewWithWatch(config, client.Options{Scheme: controlplane.Scheme()})
	w.Must(err)
	return made
}

// gated is an API server that the process reaches until it ends.
func (p *process) gated(server client.WithWatch) client.WithWatch {
	write := func(verb string, o runtime.Object, send func() error) error {
		kind, err := server.GroupVersionKindFor(o)
		if err != nil {
			return err
		}
		return p.through(change{what: verb + " " + kind.Kind, ofBinding: kind.Kind == "NodeClassBinding"}, true, send)
	}
	return interceptor.NewClient(server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return p.through(change{}, false, func() error { return c.Get(ctx, key, o, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			return p.through(change{}, false, func() error { return c.List(ctx, l, opts...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return write("create", o, func() error { return c.Create(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return write("delete", o, func() error { return c.Delete(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return write("update", o, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return write("patch", o, func() error { return c.Patch(ctx, o, patch, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
			if err != nil {
				return err
			}
			return write("apply", &unstructured.Unstructured{Object: content}, func() error { return c.Apply(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return write("patch "+sub+" of", o, func() error { return c.SubResource(sub).Patch(ctx, o, patch, opts...) })
		},
	})
}

// withIndexes lists bindings by the fields that the operator's cache has indexes of.
func withIndexes(server client.WithWatch, targets binding.Targets) client.WithWatch {
	indexes := targets.Indexes()
	return interceptor.NewClient(server, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			list, ofBindings := l.(*v1alpha1.NodeClassBindingList)
			selector := (&client.ListOptions{}).ApplyOptions(opts).FieldSelector
			if !ofBindings || selector == nil {
				return c.List(ctx, l, opts...)
			}
			if err := c.List(ctx, list); err != nil {
				return err
			}
			all := list.Items
			list.Items = nil
			for _, one := range all {
				if matches(&one, selector, indexes) {
					list.Items = append(list.Items, one)
				}
			}
			return nil
		},
	})
}

func matches(one *v1alpha1.NodeClassBinding, selector fields.Selector, indexes map[string]client.IndexerFunc) bool {
	for _, wanted := range selector.Requirements() {
		has := fields.Set{}
		for _, value := range indexes[wanted.Field](one) {
			has[value] = ""
		}
		if !has.Has(wanted.Value) {
			return false
		}
	}
	return true
}
