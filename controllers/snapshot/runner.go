package snapshot

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// Runner owns the builds of this process, at most one per object. It is a manager's Runnable: when the manager
// stops, builds are cancelled, and have deleted their snapshots before Start returns.
type Runner struct {
	builder Builder
	clock   clock.PassiveClock
	// slots bounds the builds that run at once; the others wait their turn.
	slots chan struct{}
	wake  chan event.GenericEvent

	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	builds map[types.UID]*running
}

// running is one build; the Runner's mutex guards its view.
type running struct {
	view   buildView
	cancel context.CancelFunc
}

// buildView is a build of this process at one moment.
type buildView struct {
	Build larderv1alpha1.BuildStatus
	// Ended is zero while the build runs.
	Ended time.Time
	// Err is why an ended build failed.
	Err error
	// withoutParent is why a build that ended well could not use what the last snapshot has.
	withoutParent error
}

func (v *buildView) running() bool { return v != nil && v.Ended.IsZero() }

// NewRunner returns a Runner of at most parallel builds at a time.
func NewRunner(builder Builder, parallel int, clock clock.PassiveClock) *Runner {
	ctx, stop := context.WithCancel(context.Background())
	return &Runner{
		builder: builder,
		clock:   clock,
		slots:   make(chan struct{}, parallel),
		wake:    make(chan event.GenericEvent, 64),
		ctx:     ctx,
		stop:    stop,
		builds:  map[types.UID]*running{},
	}
}

// Start waits for the manager to stop, then for the builds to end.
func (r *Runner) Start(ctx context.Context) error {
	<-ctx.Done()
	r.stop()
	r.done.Wait()
	return nil
}

// run starts a build whose marker is in the object's status already.
func (r *Runner) run(object *larderv1alpha1.ImageCacheSnapshot, build larderv1alpha1.BuildStatus, request BuildRequest) {
	ctx, cancel := context.WithCancel(r.ctx)
	current := &running{cancel: cancel}
	current.view = buildView{Build: *build.DeepCopy()}
	request.Started = func(snapshotID string, volumeSize int64) {
		r.update(current, func(view *buildView) {
			view.Build.Step = larderv1alpha1.BuildWriting
			view.Build.SnapshotID = snapshotID
			view.Build.VolumeSize = gibibytes(volumeSize)
		})
		r.notify(object)
	}
	request.Progress = func(percent int) {
		r.update(current, func(view *buildView) {
			view.Build.Progress = max(view.Build.Progress, int32(min(percent, 100)))
		})
	}
	r.mu.Lock()
	r.builds[object.UID] = current
	r.mu.Unlock()
	r.done.Go(func() {
		defer cancel()
		result, err := r.build(ctx, request)
		r.update(current, func(view *buildView) { view.end(r.clock.Now(), result, err) })
		r.notify(object)
	})
}

// build waits for a slot, and keeps a panic over one image from ending the operator for all.
func (r *Runner) build(ctx context.Context, request BuildRequest) (result BuildResult, err error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return BuildResult{}, errNeverStarted
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("building the volume: panic: %v", cause)
			log.Log.Error(err, "A build panicked", "description", request.Description, "stack", string(debug.Stack()))
		}
	}()
	return r.builder.Build(ctx, request)
}

func (v *buildView) end(now time.Time, result BuildResult, err error) {
	v.Ended, v.Err = now, err
	if err != nil {
		return
	}
	v.Build.Step = larderv1alpha1.BuildCompleting
	v.Build.Progress = 100
	v.Build.SnapshotID = result.SnapshotID
	v.Build.VolumeSize = gibibytes(result.VolumeSize)
	v.Build.Transfer = larderv1alpha1.Transfer{
		StoredBytes: result.StoredBytes, FetchedBytes: result.FetchedBytes, WrittenBytes: result.WrittenBytes,
	}
	v.withoutParent = result.WithoutParent
}

func (r *Runner) update(current *running, change func(*buildView)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&current.view)
}

// look returns the object's build, or nil.
func (r *Runner) look(uid types.UID) *buildView {
	r.mu.Lock()
	defer r.mu.Unlock()
	current, found := r.builds[uid]
	if !found {
		return nil
	}
	view := current.view
	view.Build = *view.Build.DeepCopy()
	return &view
}

// cancel ends the object's build, soon.
func (r *Runner) cancel(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if current, found := r.builds[uid]; found {
		current.cancel()
	}
}

// forget drops a build that has ended and whose end is known elsewhere.
func (r *Runner) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.builds, uid)
}

// notify asks for a pass. When nobody listens fast enough it gives up, since the next pass comes anyway.
func (r *Runner) notify(object *larderv1alpha1.ImageCacheSnapshot) {
	wanted := &larderv1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: object.Name}}
	select {
	case r.wake <- event.GenericEvent{Object: wanted}:
	default:
	}
}
