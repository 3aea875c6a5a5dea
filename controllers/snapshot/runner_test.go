package snapshot

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// builderFunc makes a Builder of a function.
type builderFunc func(context.Context, BuildRequest) (BuildResult, error)

func (f builderFunc) Build(ctx context.Context, request BuildRequest) (BuildResult, error) {
	return f(ctx, request)
}

func objectWithUID(uid types.UID) *larderv1alpha1.ImageCacheSnapshot {
	object := &larderv1alpha1.ImageCacheSnapshot{}
	object.UID, object.Name, object.Generation = uid, string(uid), 1
	return object
}

func TestRunnerBoundsWhatRunsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := make(chan string, 10)
		finish := make(chan struct{})
		runner := NewRunner(builderFunc(func(_ context.Context, request BuildRequest) (BuildResult, error) {
			running <- request.Description
			<-finish
			return BuildResult{SnapshotID: "snap-" + request.Description, VolumeSize: 8}, nil
		}), 2, clock.RealClock{})
		for _, uid := range []types.UID{"a", "b", "c"} {
			runner.run(objectWithUID(uid), larderv1alpha1.BuildStatus{Step: larderv1alpha1.BuildStarting}, BuildRequest{Description: string(uid)})
		}
		synctest.Wait()
		if got := len(running); got != 2 {
			t.Errorf("want 2 builds at once, got %d", got)
		}
		close(finish)
		synctest.Wait()
		for _, uid := range []types.UID{"a", "b", "c"} {
			view := runner.look(uid)
			if view.running() || view.Build.SnapshotID != "snap-"+string(uid) || view.Build.Step != larderv1alpha1.BuildCompleting {
				t.Errorf("build of %s: %+v", uid, view)
			}
		}
	})
}

func TestRunnerStopsItsBuildsBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cleaned := false
		runner := NewRunner(builderFunc(func(ctx context.Context, _ BuildRequest) (BuildResult, error) {
			<-ctx.Done()
			cleaned = true
			return BuildResult{}, ctx.Err()
		}), 1, clock.RealClock{})
		runner.run(objectWithUID("first"), larderv1alpha1.BuildStatus{}, BuildRequest{})
		synctest.Wait()
		runner.run(objectWithUID("waits for its turn"), larderv1alpha1.BuildStatus{}, BuildRequest{})
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if err := runner.Start(stopped); err != nil {
			t.Fatal(err)
		}
		if !cleaned {
			t.Error("the runner ended before its build had deleted its snapshot")
		}
		if err := runner.look("waits for its turn").Err; !errors.Is(err, errNeverStarted) && !errors.Is(err, context.Canceled) {
			t.Errorf("the build that waited: got %v", err)
		}
	})
}

func TestRunnerSurvivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := NewRunner(builderFunc(func(context.Context, BuildRequest) (BuildResult, error) {
			panic("an image that nobody thought of")
		}), 1, clock.RealClock{})
		runner.run(objectWithUID("a"), larderv1alpha1.BuildStatus{}, BuildRequest{})
		synctest.Wait()
		view := runner.look("a")
		if view.running() || view.Err == nil || !strings.Contains(view.Err.Error(), "an image that nobody thought of") {
			t.Errorf("want the panic as an error, got %+v", view)
		}
	})
}
