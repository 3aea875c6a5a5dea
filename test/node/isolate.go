//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// cgroupVariable marks the isolated process, and names the control group that its pods are put under.
	cgroupVariable = "LARDER_NODE_CGROUP"
	// runDirectory is compiled into containerd: its shims keep their sockets there, whatever its configuration says.
	runDirectory = "/run/containerd"
	cgroupMount  = "/sys/fs/cgroup"
)

// hiddenDirectories are where containerd and the kubelet write, whatever their configuration says.
var hiddenDirectories = []string{runDirectory, "/var/lib/kubelet", "/var/log/containers"}

// debianPackages maps the commands that the tests run to the Debian package that has them.
var debianPackages = map[string]string{
	"runc":    "runc",
	"e2fsck":  "e2fsprogs",
	"mke2fs":  "e2fsprogs",
	"losetup": "mount",
	"mount":   "mount",
	"umount":  "mount",
	"partx":   "util-linux",
	"setpriv": "util-linux",
	"tar":     "tar",
}

// Isolate is the TestMain of a package that starts nodes. It runs the tests in a child process with a mount and a
// process namespace of its own, so that the kernel takes away whatever a test that was killed left behind, and
// returns their exit status. It needs root.
func Isolate(m *testing.M) int {
	if os.Getenv(cgroupVariable) != "" {
		if err := prepareNamespace(); err != nil {
			fmt.Fprintln(os.Stderr, "node tests:", err)
			return 1
		}
		return m.Run()
	}
	code, err := runIsolated()
	if err != nil {
		fmt.Fprintln(os.Stderr, "node tests:", err)
		return 1
	}
	return code
}

func runIsolated() (code int, err error) {
	if err := checkMachine(); err != nil {
		return 0, err
	}
	assets, err := findAssets()
	if err != nil {
		return 0, err
	}
	removeDirectories, err := ensureDirectories(hiddenDirectories)
	if err != nil {
		return 0, err
	}
	defer removeDirectories()
	cgroup := "larder-node-" + strconv.Itoa(os.Getpid())
	defer func() { err = errors.Join(err, removeCgroups(cgroup)) }()

	// The death signal is sent when the starting thread ends, so that thread is kept.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tests := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	tests.Env = append(append(os.Environ(), assets...), cgroupVariable+"="+cgroup)
	tests.Stdin, tests.Stdout, tests.Stderr = os.Stdin, os.Stdout, os.Stderr
	tests.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS, // by unshare and not by clone: only there Go makes the mounts private
		Pdeathsig:    syscall.SIGKILL,
	}
	if err := tests.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			return exit.ExitCode(), nil
		}
		return 0, fmt.Errorf("running the tests in namespaces of their own: %w", err)
	}
	return 0, nil
}

func checkMachine() error {
	if os.Geteuid() != 0 {
		return errors.New("containerd, mounts and loop devices need root: run them with sudo -E")
	}
	var missing []error
	for _, command := range slices.Sorted(maps.Keys(debianPackages)) {
		if _, err := exec.LookPath(command); err != nil {
			missing = append(missing, fmt.Errorf("%s is not in PATH: install it with: apt-get install %s", command, debianPackages[command]))
		}
	}
	for path, meaning := range map[string]string{
		"/dev/loop-control": "no loop devices: the disk files cannot be attached (modprobe loop, or a container that has them)",
		cgroupMount:         "no control groups: runc cannot start a container",
	} {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, fmt.Errorf("%s: %w", meaning, err))
		}
	}
	return errors.Join(missing...)
}

// ensureDirectories makes directories to mount over, and returns what takes those away again that were not there before.
// A removed directory takes other runs' mounts with it, so that is left undone while another run shares the lock.
func ensureDirectories(paths []string) (remove func(), err error) {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "larder-node.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the node tests: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH); err != nil {
		return nil, fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	var made []string
	for _, path := range paths {
		if err := os.Mkdir(path, 0o711); err == nil {
			made = append(made, path)
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("making a directory that a tmpfs is mounted over: %w", err)
		}
	}
	return func() {
		defer lock.Close()
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			return
		}
		for _, path := range made {
			_ = os.Remove(path)
		}
	}, nil
}

// prepareNamespace makes /proc show the own processes only and hides the machine's own node, if it is one.
func prepareNamespace() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc of the process namespace: %w", err)
	}
	for _, directory := range hiddenDirectories {
		if err := unix.Mount("larder-node", directory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0711"); err != nil {
			return fmt.Errorf("mounting a tmpfs over %s: %w", directory, err)
		}
	}
	return tryOverlay()
}

// tryOverlay mounts one overlay, since without them containerd only says that it has no snapshotter.
func tryOverlay() error {
	base, err := os.MkdirTemp("", "larder-overlay-")
	if err != nil {
		return fmt.Errorf("making a directory to try an overlay in: %w", err)
	}
	defer os.RemoveAll(base)
	options := make([]string, 0, 3)
	for _, directory := range []string{"lowerdir", "upperdir", "workdir"} {
		path := filepath.Join(base, directory)
		if err := os.Mkdir(path, 0o755); err != nil {
			return fmt.Errorf("making a directory to try an overlay in: %w", err)
		}
		options = append(options, directory+"="+path)
	}
	target := filepath.Join(base, "lowerdir")
	if err := unix.Mount("overlay", target, "overlay", 0, strings.Join(options, ",")); err != nil {
		return fmt.Errorf("mounting an overlay in %s, as containerd does for each container: set TMPDIR to a plain filesystem: %w", base, err)
	}
	return unix.Unmount(target, 0)
}

// removeCgroups removes the control groups that pods left: runc removes a container's own but not the parent's,
// one per hierarchy in version 1.
func removeCgroups(name string) error {
	hierarchies, err := filepath.Glob(filepath.Join(cgroupMount, "*", name))
	if err != nil {
		return err
	}
	var problems []error
	for _, top := range append(hierarchies, filepath.Join(cgroupMount, name)) {
		var directories []string
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				directories = append(directories, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
		for i := len(directories) - 1; i >= 0; i-- { // children before parents
			if err := os.Remove(directories[i]); err != nil {
				problems = append(problems, fmt.Errorf("removing the control group of the pods: %w", err))
			}
		}
	}
	return errors.Join(problems...)
}
