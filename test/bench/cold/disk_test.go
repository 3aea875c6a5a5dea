//go:build node

package cold_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/node"
)

// partitionMargin is what the data partition leaves free before and behind itself, in bytes.
const partitionMargin = 1 << 20

// coldDisk is a copy of a disk image behind a process that makes the first touch of each block slow, mounted.
type coldDisk struct {
	mountpoint string
	mounted    time.Time

	log       string
	work      string
	directory string
	server    *exec.Cmd
	unmounted bool
}

// mountCold mounts the data partition of a copy of an image.
func mountCold(t *testing.T, slowdisk, image string, latency time.Duration) *coldDisk {
	t.Helper()
	work := t.TempDir()
	d := &coldDisk{mountpoint: t.TempDir(), work: work, directory: filepath.Join(work, "fuse"), log: filepath.Join(work, "touched.log")}
	run(t, "cp", "--sparse=always", image, filepath.Join(work, "disk.img"))
	if err := os.Mkdir(d.directory, 0o700); err != nil {
		t.Fatal(err)
	}
	// The server gets a mount namespace without the filesystem that stands on it: were it killed in the same one, its
	// own end would wait for that filesystem to be unmounted, and so for itself. A shared mount shows its file here.
	run(t, "mount", "--bind", work, work)
	run(t, "mount", "--make-shared", work)
	d.server = exec.CommandContext(context.WithoutCancel(t.Context()), "unshare", "--mount", "--propagation", "unchanged",
		slowdisk, "--latency", latency.String(), "--log", d.log, filepath.Join(work, "disk.img"), d.directory)
	d.server.Stdout, d.server.Stderr = os.Stderr, os.Stderr
	if err := d.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.unmount(t) })
	file := filepath.Join(d.directory, "disk")
	size := d.waitForFile(t, file)
	device := strings.TrimSpace(run(t, "losetup", "--find", "--show", "--direct-io=on",
		"--offset", strconv.Itoa(partitionMargin), "--sizelimit", strconv.FormatInt(size-2*partitionMargin, 10), file))
	d.mounted = time.Now()
	err := unix.Mount(device, d.mountpoint, "ext4", unix.MS_NOATIME|unix.MS_NOSUID|unix.MS_NODEV, "")
	run(t, "losetup", "--detach", device) // when its last user is gone
	if err != nil {
		t.Fatalf("mounting %s: %v", image, err)
	}
	return d
}

// waitForFile waits until the file is served and returns its size in bytes.
func (d *coldDisk) waitForFile(t *testing.T, file string) int64 {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		if info, err := os.Stat(file); err == nil {
			return info.Size()
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s does not serve %s", d.server, file)
		}
	}
}

// containerdRoot is where containerd finds its directory.
func (d *coldDisk) containerdRoot() string { return filepath.Join(d.mountpoint, node.ContainerdRoot) }

// unmount ends the disk and removes it, for they are large; the log stays. A second call does nothing.
func (d *coldDisk) unmount(t *testing.T) {
	t.Helper()
	if d.unmounted {
		return
	}
	d.unmounted = true
	if err := unix.Unmount(d.mountpoint, 0); err != nil && !errors.Is(err, unix.EINVAL) { // not mounted yet
		t.Errorf("unmounting %s: %v", d.mountpoint, err)
	}
	// The loop device lets go of the file a moment after the filesystem has let go of it.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for unix.Unmount(d.directory, 0) != nil {
		select {
		case <-tick.C:
		case <-limit:
			t.Errorf("%s stays in use", d.directory)
			_ = d.server.Process.Kill() // no more can be done
			return
		}
	}
	if err := d.server.Wait(); err != nil {
		t.Errorf("%s: %v", d.server, err)
	}
	if err := os.Remove(filepath.Join(d.work, "disk.img")); err != nil {
		t.Error(err)
	}
	if err := unix.Unmount(d.work, 0); err != nil {
		t.Errorf("unmounting %s: %v", d.work, err)
	}
}

// fetched lists the blocks that were fetched from the mount until the given time, by their numbers on the disk.
func (d *coldDisk) fetched(t *testing.T, until time.Time) (blocks []int64) {
	t.Helper()
	log, err := os.Open(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var when, block int64
		if _, err := fmt.Sscan(lines.Text(), &when, &block); err != nil {
			t.Fatalf("%q in %s: %v", lines.Text(), d.log, err)
		}
		if when <= until.UnixNano() {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

func run(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, output)
	}
	return string(output)
}
