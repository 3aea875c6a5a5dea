package main

import (
	"encoding/json"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// result names a finished disk: by the id of a snapshot or by the name of a file.
type result struct {
	SnapshotID string `json:"snapshotID,omitempty"`
	Output     string `json:"output,omitempty"`
}

func (r result) String() string { return r.SnapshotID + r.Output }

// reporter tells the user how a build goes; progress may be called from several goroutines.
type reporter interface {
	resolved(found *image.Image)
	// writing is called again when a volume turned out too small; size is in GiB.
	writing(to result, size int64)
	// progress takes compressed bytes of layers.
	progress(read, total int64)
	completing()
	// warn tells of what the finished disk is as good without.
	warn(about error)
	// failed says that the build ended; its error is for the caller to show.
	failed()
	finished(made result, with *volume.Result)
}

func newReporter(to streams, asJSON bool) reporter {
	if asJSON {
		return &jsonReporter{out: json.NewEncoder(to.out), pace: pace{interval: time.Second}}
	}
	file, isFile := to.err.(*os.File)
	if isFile && term.IsTerminal(int(file.Fd())) {
		return &textReporter{streams: to, terminal: true, pace: pace{interval: 100 * time.Millisecond}}
	}
	return &textReporter{streams: to, pace: pace{interval: 10 * time.Second}}
}

// pace lets progress through at an interval, and always the last of it.
type pace struct {
	interval time.Duration
	mutex    sync.Mutex
	last     time.Time
	highest  int64
}

// allow calls show unless it was called a moment ago or for more; calls do not overlap.
func (p *pace) allow(read, total int64, show func()) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	now := time.Now()
	if read <= p.highest || read < total && now.Sub(p.last) < p.interval {
		return
	}
	p.last, p.highest = now, read
	show()
}

// restart begins at zero again.
func (p *pace) restart() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.last, p.highest = time.Time{}, 0
}
