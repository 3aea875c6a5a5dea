// Package targets tells what bindings do to what AWS and CSI launch from snapshots, chapter by chapter: a managed node
// group, two Auto Scaling groups, a compute environment of Batch, an ECS service and the volumes of pods, all at once. The
// demo prints it, and a test fails when a chapter does not come true. The API server, the CSI snapshot controller and the
// operator are real. AWS is a double, and the EBS CSI driver is played.
//
// Each chapter waits for what it says, for so long at most, and returns an error if it does not come.
package targets

import (
	"context"
	"time"

	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/fakeaws/estate"
)

// Chapter is a part of the story. Each goes on where the one before it ended.
type Chapter struct {
	Name string
	Tell func(*Story, context.Context) error
}

// Chapters returns the whole story. The CSI driver is given two minutes to make up its mind, in which the platforms of AWS
// have their good and their bad revisions.
func Chapters() []Chapter {
	return []Chapter{
		{"before Larder", (*Story).begin},
		{"six bindings", (*Story).bind},
		{"a new revision", (*Story).renew},
		{"a revision that the CSI driver refuses", (*Story).spoilVolumes},
		{"the new revision is everywhere", (*Story).renewed},
		{"a revision that cannot be launched", (*Story).fail},
		{"the next good revision", (*Story).heal},
		{"the end", (*Story).end},
	}
}

// Options are those of a stack for the story. Each platform is done before the operator looks at it again, half a minute
// after it asked for something.
func Options(dir string) e2e.Options {
	return e2e.Options{VolumeSnapshots: true, AWS: fakeaws.Options{
		PendingFor: time.Second, Dir: dir,
		NodeGroupUpdateFor: 10 * time.Second, RefreshStep: 4 * time.Second, ComputeEnvironmentFor: 10 * time.Second, TaskStart: 7 * time.Second,
	}}
}

// Story is what the chapters share.
type Story struct {
	e2e.Narrator
	dir    string
	estate *estate.Estate
	// original is what there was before Larder.
	original []estate.Consumer
	// broken are the snapshots that the CSI driver cannot use.
	broken map[string]bool
	// good are the newest snapshots that nothing is wrong with, and bad those that were refused, by ImageCacheSnapshots.
	good, bad map[string]string
}

// New returns a story that is yet to be told. Files are written to dir.
func New(narrator e2e.Narrator, dir string) *Story {
	return &Story{Narrator: narrator, dir: dir, broken: map[string]bool{}, good: map[string]string{}, bad: map[string]string{}}
}
