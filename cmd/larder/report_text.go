package main

import (
	"fmt"
	"strings"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// textReporter writes for people: all but the result to standard error.
type textReporter struct {
	streams
	// terminal has one line of progress that is written over and over.
	terminal bool
	pace     pace
	// unfinished means that the terminal's last line is such a one; the pace's mutex guards it.
	unfinished bool
}

func (t *textReporter) resolved(found *image.Image) {
	var platforms []string
	for _, manifest := range found.Manifests {
		platforms = append(platforms, manifest.Platform)
	}
	fmt.Fprintf(t.err, "%s is %s for %s\n", found.Reference, found.Target.Digest, strings.Join(platforms, ", "))
	if len(found.MissingPlatforms) > 0 {
		fmt.Fprintf(t.err, "warning: %s does not exist for %s\n", found.Reference, strings.Join(found.MissingPlatforms, ", "))
	}
}

func (t *textReporter) writing(to result, size int64) {
	t.pace.restart()
	fmt.Fprintf(t.err, "writing %s, %d GiB\n", to, size)
}

func (t *textReporter) progress(read, total int64) {
	t.pace.allow(read, total, func() {
		line := fmt.Sprintf("read %s of %s", humanBytes(read), humanBytes(total))
		if !t.terminal {
			fmt.Fprintln(t.err, line)
			return
		}
		const clearLine = "\r\x1b[K"
		fmt.Fprint(t.err, clearLine+line)
		t.unfinished = read < total
		if !t.unfinished {
			fmt.Fprintln(t.err)
		}
	})
}

func (t *textReporter) failed() {
	t.pace.mutex.Lock()
	defer t.pace.mutex.Unlock()
	if t.unfinished {
		fmt.Fprintln(t.err)
	}
}

func (t *textReporter) completing() { fmt.Fprintln(t.err, "waiting for AWS to store the snapshot") }

func (t *textReporter) warn(about error) { fmt.Fprintf(t.err, "warning: %v\n", about) }

func (t *textReporter) finished(made result, with *volume.Result) {
	switch {
	case with.WithoutParent != nil:
		fmt.Fprintf(t.err, "built in full: %v\n", with.WithoutParent)
	case with.Kept > 0:
		fmt.Fprintf(t.err, "left %d of %d layers where the parent has them\n", with.Kept, with.Layers)
	}
	fmt.Fprintf(t.err, "read %s of layers, wrote %s in blocks of 512 KiB\n",
		humanBytes(with.LayerBytes), humanBytes(with.Blocks*volume.BlockSize))
	fmt.Fprintln(t.out, made)
}

// humanBytes writes a number of bytes as people read it: "1.5 GiB".
func humanBytes(bytes int64) string {
	value, unit := float64(bytes), 0
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
