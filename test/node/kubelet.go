//go:build linux

package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// kubeletNode is the name that a kubelet without an API server takes; it ends the names of static pods.
const kubeletNode = "larder-node"

// kubeletConfig is of a kubelet that stands alone: without an API server, its pods come from a directory. It differs
// from the defaults where they reach for the machine outside of the test or ask for more than build machines have.
var kubeletConfig = template.Must(template.New("kubelet.yaml").Parse(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{{.Socket}}
staticPodPath: {{.Directory}}/manifests
podLogsDir: {{.Directory}}/logs
volumePluginDir: {{.Directory}}/plugins
resolvConf: ""
# The tests' own control group, which is removed with all below it.
cgroupRoot: /{{.Cgroup}}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
# No port: nothing asks this kubelet.
enableServer: false
healthzPort: 0
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
# The disk that the tests run on may be nearly full.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
`))

// kernelSettings are what a kubelet writes to below /proc/sys if it differs; the machine's own are none of the tests'.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// Kubelet is a running kubelet that stands alone on a Node.
type Kubelet struct {
	directory string
	logFile   string
	process   *exec.Cmd
	ended     chan struct{} // closed when it ended
}

// StartKubelet starts a kubelet that uses the node's containerd. It is stopped at the end of the test, before the node.
func (n *Node) StartKubelet(t testing.TB) *Kubelet {
	t.Helper()
	k := &Kubelet{directory: t.TempDir(), ended: make(chan struct{})}
	k.logFile = filepath.Join(k.directory, "kubelet.log")
	for _, name := range []string{"manifests", "logs", "plugins", "root"} {
		if err := os.Mkdir(filepath.Join(k.directory, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	k.shieldKernel(t)
	config, err := os.Create(filepath.Join(k.directory, "kubelet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	err = kubeletConfig.Execute(config, map[string]string{
		"Socket": n.socket, "Directory": k.directory, "Cgroup": os.Getenv(cgroupVariable),
	})
	if err := errors.Join(err, config.Close()); err != nil {
		t.Fatalf("writing the kubelet's configuration: %v", err)
	}
	if err := k.launch(config.Name()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.stop(t) })
	return k
}

// shieldKernel puts files over the kernel's settings, until the end of the test.
func (k *Kubelet) shieldKernel(t testing.TB) {
	t.Helper()
	for name, value := range kernelSettings {
		file := filepath.Join(k.directory, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		setting := filepath.Join("/proc/sys", name)
		if err := unix.Mount(file, setting, "", unix.MS_BIND, ""); err != nil {
			t.Fatalf("hiding %s from the kubelet: %v", setting, err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(setting, 0); err != nil {
				t.Errorf("uncovering %s: %v", setting, err)
			}
		})
	}
}

func (k *Kubelet) launch(config string) error {
	log, err := os.Create(k.logFile)
	if err != nil {
		return fmt.Errorf("making the kubelet's log file: %w", err)
	}
	defer log.Close()
	program := filepath.Join(os.Getenv(kubeletVariable), "kubelet")
	k.process = exec.CommandContext(context.Background(), program, // not the test's context, as for containerd
		"--config", config, "--root-dir", filepath.Join(k.directory, "root"), "--cert-dir", filepath.Join(k.directory, "pki"),
		"--hostname-override", kubeletNode, "--v", "3") // events are logged from 3 on
	k.process.Stdout, k.process.Stderr = log, log
	if err := k.process.Start(); err != nil {
		return fmt.Errorf("starting the kubelet: %w", err)
	}
	go func() {
		_ = k.process.Wait() // how it ended is read from ProcessState
		close(k.ended)
	}()
	return nil
}

func (k *Kubelet) stop(t testing.TB) {
	select {
	case <-k.ended:
		t.Errorf("the kubelet had ended before it was stopped: %v\n%s", k.process.ProcessState, k.logTail())
		return
	default:
	}
	_ = k.process.Process.Signal(syscall.SIGTERM) // it may end by itself in this very moment
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-k.ended:
	case <-timer.C:
		t.Errorf("the kubelet did not end within %s of SIGTERM\n%s", stopLimit, k.logTail())
		_ = k.process.Process.Kill()
		<-k.ended
	}
	// It mounts its root directory over itself, to share what is mounted below.
	if err := unix.Unmount(filepath.Join(k.directory, "root"), unix.MNT_DETACH); err != nil {
		t.Errorf("unmounting the kubelet's root directory: %v", err)
	}
}

// AddPod gives the kubelet a static pod's manifest, all of it at once.
func (k *Kubelet) AddPod(t testing.TB, name, manifest string) {
	t.Helper()
	file := filepath.Join(k.directory, name+".yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file, filepath.Join(k.directory, "manifests", name+".yaml")); err != nil {
		t.Fatal(err)
	}
}

// Event is what the kubelet says of a pod.
type Event struct {
	Message string
	// Time is the kubelet's own, to the microsecond.
	Time time.Time
}

// WaitForEvent returns the message of a static pod's first event with the given reason.
func (k *Kubelet) WaitForEvent(t testing.TB, pod, reason string) string {
	t.Helper()
	return k.WaitForEventWithin(t, startLimit, pod, reason).Message
}

// WaitForEventWithin returns a static pod's first event with the given reason, which may take until the limit. Without
// an API server, events are nowhere but in the kubelet's log.
func (k *Kubelet) WaitForEventWithin(t testing.TB, limit time.Duration, pod, reason string) Event {
	t.Helper()
	var event Event
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (found bool, err error) {
		select {
		case <-k.ended:
			return false, fmt.Errorf("the kubelet ended: %v", k.process.ProcessState)
		default:
		}
		event, found, err = k.findEvent(pod, reason)
		return found, err
	})
	if err != nil {
		t.Fatalf("waiting for the event %s of pod %s: %v\n%s", reason, pod, err, k.logTail())
	}
	return event
}

// findEvent reads the log's lines of the form `… "Event occurred" object="default/pod-node" … reason="…" … message="…"`.
func (k *Kubelet) findEvent(pod, reason string) (event Event, found bool, err error) {
	log, err := os.Open(k.logFile)
	if err != nil {
		return Event{}, false, err
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, `"Event occurred"`) && strings.Contains(line, fmt.Sprintf("object=%q", "default/"+pod+"-"+kubeletNode)) &&
			strings.Contains(line, fmt.Sprintf("reason=%q", reason)) {
			_, event.Message, _ = strings.Cut(line, "message=")
			event.Time, err = logTime(line)
			return event, true, err
		}
	}
	return Event{}, false, lines.Err()
}

// logTime reads when klog wrote a line, which begins with the level's letter, and leaves the year out: "I1231 23:59:59.999999".
func logTime(line string) (time.Time, error) {
	const layout = "20060102 15:04:05.000000"
	now := time.Now()
	stamp := fmt.Sprintf("%04d%.*s", now.Year(), len(layout)-len("2006"), line[1:])
	written, err := time.ParseInLocation(layout, stamp, time.Local)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of the kubelet's log line %q: %w", line, err)
	}
	if written.After(now) { // in the old year
		written = written.AddDate(-1, 0, 0)
	}
	return written, nil
}

func (k *Kubelet) logTail() string { return "the kubelet's log ends:\n" + tail(k.logFile) }
