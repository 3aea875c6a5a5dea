//go:build node

package node_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// program is the path of a program that was built beside this one.
func program(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(self), name)
}

// buildVolume has larder build write both images to a new file, and returns its path.
func buildVolume(t *testing.T, server *imageServer) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "volume.img")
	command := exec.CommandContext(t.Context(), program(t, "larder"), "build", "--platform", platform,
		"--image", server.pause, "--image", server.app, "--output", file)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, output)
	}
	return file
}

// dropPages writes out what a mounted filesystem has to write, and takes the pages of the file that it is in out of
// the page cache. Those of all other files stay, unlike with /proc/sys/vm/drop_caches.
func dropPages(t *testing.T, mountpoint string) {
	t.Helper()
	directory, err := os.Open(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	var status unix.Stat_t
	if err := unix.Fstat(int(directory.Fd()), &status); err != nil {
		t.Fatal(err)
	}
	if err := unix.Syncfs(int(directory.Fd())); err != nil {
		t.Fatal(err)
	}
	name, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/loop/backing_file", unix.Major(status.Dev), unix.Minor(status.Dev)))
	if err != nil {
		t.Fatalf("finding the file that %s is in: %v", mountpoint, err)
	}
	file, err := os.Open(strings.TrimSpace(string(name)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Sync(); err != nil { // pages that are not on the disk yet stay
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}
