//go:build linux

package node

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// hostPath is where user data finds programs on Amazon Linux.
const hostPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Host is a machine as its user data finds it: the files of this one, whose changes are gone with the test, and disks
// of its own.
type Host struct {
	root string
}

// NewHost makes a host without disks.
func NewHost(t testing.TB) *Host {
	t.Helper()
	base := t.TempDir()
	h := &Host{root: filepath.Join(base, "root")}
	upper, work := filepath.Join(base, "upper"), filepath.Join(base, "work")
	// What is below the root directory cannot be laid over it, but another filesystem can.
	h.mount(t, "tmpfs", base, "tmpfs", 0, "mode=0755")
	for _, directory := range []string{h.root, upper, work} {
		if err := os.Mkdir(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.mount(t, "overlay", h.root, "overlay", 0, "lowerdir=/,upperdir="+upper+",workdir="+work)
	h.mount(t, "tmpfs", h.Path("/dev"), "tmpfs", 0, "mode=0755")
	h.makeDevice(t, "/dev/null", unix.S_IFCHR, unix.Mkdev(1, 3))
	h.mount(t, "/proc", h.Path("/proc"), "", unix.MS_BIND, "")
	h.mount(t, "/run", h.Path("/run"), "", unix.MS_BIND|unix.MS_REC, "")
	return h
}

// Path returns where this process has a path of the host.
func (h *Host) Path(path string) string { return filepath.Join(h.root, path) }

// mount mounts, until the end of the test.
func (h *Host) mount(t testing.TB, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		t.Fatalf("mounting %s at %s: %v", source, target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil { // with what was mounted below it
			t.Errorf("unmounting %s: %v", target, err)
		}
	})
}

func (h *Host) makeDevice(t testing.TB, name string, kind uint32, device uint64) {
	t.Helper()
	if err := unix.Mknod(h.Path(name), kind|0o600, int(device)); err != nil { //nolint:gosec // the kernel's own numbers
		t.Fatalf("making the device %s: %v", name, err)
	}
}

// AttachDisk gives the host a disk under a name such as "/dev/nvme1n1".
func (h *Host) AttachDisk(t testing.TB, file, name string) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	device, err := openLoop(file, 0, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	var status unix.Stat_t
	if err := unix.Fstat(int(device.Fd()), &status); err != nil {
		t.Fatal(err)
	}
	h.makeDevice(t, name, unix.S_IFBLK, status.Rdev)
}

// WriteFile puts a file on the host, and its directories.
func (h *Host) WriteFile(t testing.TB, name string, content []byte, permissions os.FileMode) {
	t.Helper()
	path := h.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// What this machine has there may be a link, and lead out of the host.
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, permissions); err != nil {
		t.Fatal(err)
	}
}

// Run runs a shell script on the host and returns what it wrote.
func (h *Host) Run(t testing.TB, script string, environment ...string) string {
	t.Helper()
	shell := exec.CommandContext(context.WithoutCancel(t.Context()), "/bin/bash", "-s")
	shell.SysProcAttr = &syscall.SysProcAttr{Chroot: h.root}
	shell.Dir = "/"
	shell.Env = append([]string{hostPath}, environment...)
	shell.Stdin = strings.NewReader(script)
	output, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("running a script on the host: %v\n%s", err, output)
	}
	return string(output)
}

// RunStartPost does what systemd does by a unit's ExecStartPost when the node's containerd has started, with that
// containerd's own ctr.
func (h *Host) RunStartPost(t testing.TB, unit string, n *Node) {
	t.Helper()
	ctr, err := os.ReadFile(filepath.Join(n.containerd.directory, "ctr"))
	if err != nil {
		t.Fatal(err)
	}
	h.WriteFile(t, "/usr/bin/ctr", ctr, 0o755)
	content, err := os.ReadFile(h.Path(unit))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for line := range strings.Lines(string(content)) {
		if command, found := strings.CutPrefix(line, "ExecStartPost="); found {
			h.Run(t, command, "CONTAINERD_ADDRESS="+n.socket)
			ran++
		}
	}
	if ran == 0 {
		t.Errorf("%s has no ExecStartPost:\n%s", unit, content)
	}
}

// MountOf returns the type and the options of what is mounted at a path of the host; both are empty where nothing is.
func (h *Host) MountOf(t testing.TB, path string) (kind, options string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); fields[4] == h.Path(path) {
			kind, options = strings.Fields(after)[0], fields[5]
		}
	}
	return kind, options
}

// CheckDisk has e2fsck read a filesystem that is the whole of a disk file; whatever it would mend fails the test.
func CheckDisk(t testing.TB, file string) {
	t.Helper()
	if output, err := run("e2fsck", "-f", "-n", file); err != nil {
		t.Errorf("e2fsck -fn %s: %v\n%s", file, err, output)
	}
}
