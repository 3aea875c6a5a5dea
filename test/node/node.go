//go:build linux

package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// startLimit is generous: containerd answers in less than a second, unless the machine is busy.
	startLimit = time.Minute
	stopLimit  = 30 * time.Second
	// Namespace is containerd's namespace of what CRI, and so kubelet, sees.
	Namespace = "k8s.io"
)

// Options say what a node starts with.
type Options struct {
	// Containerd is the version to start.
	Containerd Containerd
	// Root is containerd's root directory, /var/lib/containerd on a node's data volume.
	Root string
	// SandboxImage is the image that keeps each pod's namespaces; it has to be in Root already or be pullable.
	SandboxImage string
}

// Node is a running containerd with CRI.
type Node struct {
	CRI *CRI

	containerd   Containerd
	root, socket string
	logFile      string
	process      *exec.Cmd
	ended        chan struct{} // closed when containerd ended
	stopped      bool
}

// Start starts containerd on a root directory and returns when CRI answers. It is stopped at the end of the test,
// if Stop was not called before; a process or a mount that is left then fails the test.
func Start(t testing.TB, options Options) *Node {
	t.Helper()
	run, err := os.MkdirTemp(runDirectory, "n") // a short path: a socket's has at most 107 bytes
	if err != nil {
		t.Fatalf("making containerd's state directory: %v", err)
	}
	n := &Node{
		containerd: options.Containerd,
		root:       options.Root,
		socket:     filepath.Join(run, "containerd.sock"),
		logFile:    filepath.Join(t.TempDir(), "containerd.log"),
		ended:      make(chan struct{}),
	}
	config, err := writeConfig(run, n, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.launch(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Stop(t) })
	if n.CRI, err = dialCRI(n.socket, filepath.Join(run, "logs"), n.process.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := n.waitUntilReady(t.Context()); err != nil {
		t.Fatalf("starting containerd on %s: %v\n%s", options.Root, err, n.logTail())
	}
	return n
}

func (n *Node) launch(config string) error {
	log, err := os.Create(n.logFile)
	if err != nil {
		return fmt.Errorf("making containerd's log file: %w", err)
	}
	defer log.Close()
	// Not the test's context: that ends before the clean-up, which has pods to remove.
	n.process = exec.CommandContext(context.Background(), n.containerd.binary("containerd"), "--config", config)
	n.process.Env = append(os.Environ(), "PATH="+n.containerd.directory+":"+os.Getenv("PATH")) // it looks its shim up there
	n.process.Stdout, n.process.Stderr = log, log
	if err := n.process.Start(); err != nil {
		return fmt.Errorf("starting containerd: %w", err)
	}
	go func() {
		_ = n.process.Wait() // how it ended is read from ProcessState
		close(n.ended)
	}()
	return nil
}

func (n *Node) waitUntilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	go func() {
		select {
		case <-n.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := n.CRI.waitUntilReady(ctx)
	select {
	case <-n.ended:
		return fmt.Errorf("it ended at once: %v", n.process.ProcessState)
	default:
		return err
	}
}

// Stop removes the node's pods, ends containerd and checks that it left no shim and no mount. A second call does nothing.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	if n.stopped {
		return
	}
	n.stopped = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopLimit)
	defer cancel()
	if n.CRI != nil {
		if err := n.CRI.removeAllPods(ctx); err != nil {
			t.Errorf("stopping the node: %v\n%s", err, n.logTail())
		}
		n.CRI.close()
	}
	n.terminate(t)
	if left := n.leftovers(t); len(left) > 0 {
		t.Errorf("the node left behind:\n%s\n%s", strings.Join(left, "\n"), n.logTail())
	}
}

func (n *Node) terminate(t testing.TB) {
	select {
	case <-n.ended:
		t.Errorf("containerd had ended before it was stopped: %v\n%s", n.process.ProcessState, n.logTail())
		return
	default:
	}
	_ = n.process.Process.Signal(syscall.SIGTERM) // it may end by itself in this very moment
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-n.ended:
	case <-timer.C:
		t.Errorf("containerd did not end within %s of SIGTERM\n%s", stopLimit, n.logTail())
		_ = n.process.Process.Kill()
		<-n.ended
	}
}

// leftovers names the mounts and the shims that belong to this node. Every shim has the socket's path among its
// arguments or its environment; a zombie has neither, and only waits for the namespace to end.
func (n *Node) leftovers(t testing.TB) []string {
	t.Helper()
	var left []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		target := strings.Fields(line)[4]
		if strings.HasPrefix(target, n.root+"/") || strings.HasPrefix(target, filepath.Dir(n.socket)+"/") {
			left = append(left, "the mount "+target)
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		arguments, err := os.ReadFile(filepath.Join(process, "cmdline"))
		if err == nil && bytes.Contains(arguments, []byte(n.socket)) {
			left = append(left, "the process "+string(bytes.ReplaceAll(arguments, []byte{0}, []byte{' '})))
		}
	}
	return left
}

// Ctr runs containerd's own client in CRI's namespace and returns its standard output.
func (n *Node) Ctr(t testing.TB, arguments ...string) string {
	t.Helper()
	arguments = append([]string{"--address", n.socket, "--namespace", Namespace}, arguments...)
	command := exec.CommandContext(t.Context(), n.containerd.binary("ctr"), arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s\n%s", command, err, stderr.String(), n.logTail())
	}
	return string(output)
}

// Address is the path of the socket on which containerd's own API is served.
func (n *Node) Address() string { return n.socket }

// CollectGarbage makes containerd collect garbage now, and returns when it has: deleting a lease, if only an empty
// one, is what asks for it.
func (n *Node) CollectGarbage(t testing.TB) {
	t.Helper()
	lease := strings.TrimSpace(n.Ctr(t, "leases", "create"))
	n.Ctr(t, "leases", "delete", "--sync", lease)
}

// logTail returns the last lines of containerd's log, for a failure's message.
func (n *Node) logTail() string { return "containerd's log ends:\n" + tail(n.logFile) }

func tail(file string) string {
	const lines = 30
	log, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
