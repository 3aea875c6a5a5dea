//go:build node

package pull_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/bench"
	"github.com/larder-dev/larder/test/node"
)

// ticksPerSecond is the unit of times in /proc, USER_HZ of the kernel's interface on every architecture that Go has.
const ticksPerSecond = 100

// pull is one pull of a set to an empty containerd.
type pull struct {
	bench.Usage
	// SyncSeconds is how long it took after the pull until everything was on the disk.
	SyncSeconds float64 `json:"syncSeconds"`
}

// pullAll has a containerd with an empty root pull images one after the other, as a kubelet does by default.
// Containerd's start is not measured.
func pullAll(t *testing.T, root string, references []string) pull {
	t.Helper()
	started := node.Start(t, node.Options{Containerd: node.NewestContainerd(t), Root: root, SandboxImage: references[0]})
	process := findContainerd(t)
	before := cpuSeconds(t, process)
	began := time.Now()
	for _, reference := range references {
		if err := started.CRI.Pull(t.Context(), reference); err != nil {
			t.Fatal(err)
		}
	}
	var result pull
	result.Wall = time.Since(began).Seconds()
	result.CPU = cpuSeconds(t, process) - before
	result.PeakRSS = status(t, process, "status", "VmHWM:") * 1024 // in KiB: proc_pid_status(5)
	result.DiskWrites = status(t, process, "io", "write_bytes:")
	began = time.Now()
	sync(t, root)
	result.SyncSeconds = time.Since(began).Seconds()
	started.Stop(t)
	return result
}

// sync waits until a directory's filesystem is on its disk.
func sync(t *testing.T, directory string) {
	t.Helper()
	opened, err := os.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if err := unix.Syncfs(int(opened.Fd())); err != nil {
		t.Fatal(err)
	}
}

// findContainerd returns the directory in /proc of the only containerd of this process namespace.
func findContainerd(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if content, err := os.ReadFile(name); err == nil && string(content) == "containerd\n" {
			return filepath.Dir(name)
		}
	}
	t.Fatal("there is no process named containerd")
	return ""
}

// cpuSeconds is what a process has used, with its children that have ended: containerd may have a program unpack.
func cpuSeconds(t *testing.T, process string) float64 {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(process, "stat"))
	if err != nil {
		t.Fatal(err)
	}
	// The name, in brackets, may have spaces; utime is the twelfth field behind it (proc_pid_stat(5)).
	fields := strings.Fields(string(content[strings.LastIndex(string(content), ")")+1:]))
	var ticks int64
	for _, field := range fields[11:15] {
		value, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += value
	}
	return float64(ticks) / ticksPerSecond
}

// status reads a number of a process.
func status(t *testing.T, process, file, field string) int64 {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(process, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var value int64
		if rest, found := strings.CutPrefix(line, field); found {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("%s has no %s", filepath.Join(process, file), field)
	return 0
}
