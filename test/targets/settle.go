package targets

import (
	"errors"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

const (
	// mostPasses is far more than any change takes, and soon over when passes do not come to an end.
	mostPasses = 300
	// firstBackoff and longestBackoff are about those of the operator's queue.
	firstBackoff, longestBackoff = time.Second, 5 * time.Minute
)

// Pass makes one pass over a binding now, and holds what is true after each: the status makes sense, and somebody will look
// again. An operator that ends in it is replaced by another, which makes the pass. It returns nil when the binding is gone.
func (w *World) Pass(name string) *v1alpha1.NodeClassBinding {
	w.Helper()
	result, err := w.reconcile(name)
	if w.process.hasEnded() {
		w.Restart()
		result, err = w.reconcile(name)
	}
	switch {
	case err == nil || errors.Is(err, reconcile.TerminalError(nil)):
		w.failures[name], w.due[name] = 0, result.RequeueAfter
	default:
		w.Logf("%s: %v", name, err)
		w.due[name] = min(firstBackoff<<min(w.failures[name], 20), longestBackoff)
		w.failures[name]++
	}
	b := w.Binding(name)
	if b == nil {
		return nil
	}
	CheckStatus(w, b)
	if w.due[name] == 0 && !w.isWatched(b) {
		w.Errorf("%s: nothing tells of a change of its target, and nobody looks again", name)
	}
	return b
}

func (w *World) reconcile(name string) (ctrl.Result, error) {
	return w.process.reconciler.Reconcile(w.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: name}})
}

func (w *World) isWatched(b *v1alpha1.NodeClassBinding) bool {
	for _, target := range w.process.reconciler.Targets {
		if _, its := target.Subject(b); its {
			_, watches := target.(binding.Watcher)
			return watches
		}
	}
	return false
}

// Settle makes passes, each when the one before asked for it, until nothing changes any more. It returns nil when the
// binding is gone.
func (w *World) Settle(name string) *v1alpha1.NodeClassBinding {
	w.Helper()
	quiet := 0
	return w.SettleUntil(name, "nothing changes", func(*v1alpha1.NodeClassBinding) bool {
		if quiet++; w.due[name] != 0 && w.due[name] < Interval || w.justChanged() {
			quiet = 0
		}
		return quiet == 2
	})
}

// SettleUntil makes passes, each when the one before asked for it, until a condition holds that what describes, or the
// binding is gone: then it returns nil.
func (w *World) SettleUntil(name, what string, until func(*v1alpha1.NodeClassBinding) bool) *v1alpha1.NodeClassBinding {
	w.Helper()
	for range mostPasses {
		w.mark = len(w.changes)
		b := w.Pass(name)
		if b == nil || until(b) {
			return b
		}
		if wait := w.due[name]; wait > 0 {
			w.Wait(wait)
		} else {
			w.Wait(Interval) // in which a watch would have told of what changed
		}
	}
	b := w.Binding(name)
	w.Fatalf("%s: after %d passes it does not come to it that %s: %+v", name, mostPasses, what, b.Status)
	return nil
}

// justChanged tells whether the last pass changed anything.
func (w *World) justChanged() bool { return len(w.changes) > w.mark }

// Is is a condition of SettleUntil: one of the binding's conditions is as Describe puts it.
func Is(conditionType, want string) func(*v1alpha1.NodeClassBinding) bool {
	return func(b *v1alpha1.NodeClassBinding) bool { return Describe(b, conditionType) == want }
}

// Mutations are the requests by which the operator changed anything but bindings, in order: actions of AWS, and those of
// the API server as verb and kind.
func (w *World) Mutations() []string {
	var all []string
	for _, one := range w.changes {
		if !one.ofBinding {
			all = append(all, one.what)
		}
	}
	return all
}
