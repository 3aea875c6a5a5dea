//go:build node

package node_test

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// recorded runs the recorder on a node and returns the trace and what the recorder and the container wrote.
func recorded(t *testing.T, n *node.Node, program string, arguments ...string) (trace []string, output string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace.txt")
	command := exec.CommandContext(t.Context(), program, append([]string{"--address", n.Address(), "--output", file}, arguments...)...)
	var both bytes.Buffer
	command.Stdout, command.Stderr = &both, &both
	err = command.Run()
	content, readErr := os.ReadFile(file)
	if err == nil && readErr != nil {
		t.Fatal(readErr)
	}
	return strings.Fields(string(content)), both.String(), err
}

// TestNodeRecordsWhatAContainerOpens has the recorder watch containers of a built volume, and lays the volume out by
// what it wrote.
func TestNodeRecordsWhatAContainerOpens(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	probe := registry.Layer{Entries: []registry.Entry{{Name: "usr/bin/probe", Mode: 0o755, Content: compileProbe(t)}}}
	reference := push(t, server, "app:v1", registry.Image{Platform: platform, Entrypoint: []string{"/usr/bin/probe", "print"}, Layers: []registry.Layer{
		probe,
		{Entries: []registry.Entry{
			{Name: "lib", Type: tar.TypeSymlink, Link: "usr/lib"},
			{Name: "usr/lib/read", Content: []byte("read\n")},
			{Name: "usr/lib/unread", Content: []byte("unread\n")},
			{Name: "etc/config", Content: []byte("config\n")},
		}},
	}})
	pause := push(t, server, "pause:v1", registry.Image{Platform: platform, Layers: []registry.Layer{probe}, Entrypoint: []string{"/usr/bin/probe", "pause"}})
	program := filepath.Join(t.TempDir(), "record")
	compile(t, program, "./record")
	u := newUser(t)
	disk := node.AttachDisk(t, u.build(t, []string{reference, pause}, platform))
	n := node.Start(t, node.Options{Containerd: node.NewestContainerd(t), Root: disk.ContainerdRoot(), SandboxImage: pause})

	trace, output, err := recorded(t, n, program, reference, "/lib/read", "/etc/config", "/usr/lib/read")
	if err != nil || output != "read\nconfig\nread\n" {
		t.Errorf("the container wrote %q: %v", output, err)
	}
	if diff := cmp.Diff([]string{"/usr/bin/probe", "/usr/lib/read", "/etc/config"}, trace); diff != "" {
		t.Errorf("what a container opened (-want +recorded):\n%s", diff)
	}
	endless, _, err := recorded(t, n, program, "--for", "2s", pause)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"/usr/bin/probe"}, endless); diff != "" {
		t.Errorf("what a container opened that did not end (-want +recorded):\n%s", diff)
	}
	if failed, output, err := recorded(t, n, program, reference, "/none"); err == nil || len(failed) > 0 || !strings.Contains(output, "ended with status 1") {
		t.Errorf("a container that failed: trace %v, error %v, output %q", failed, err, output)
	}
	if left := strings.TrimSpace(n.Ctr(t, "containers", "list", "--quiet")); left != "" {
		t.Errorf("the recorder left the containers %s", left)
	}
	n.Stop(t)

	file := filepath.Join(u.home, "trace.txt")
	if err := os.WriteFile(file, []byte(strings.Join(trace, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	traced := filepath.Join(u.home, "traced.img")
	u.run(t, nil, "build", "--platform", platform, "--output", traced, "--image", reference, "--image", pause, "--trace", file)
	runTraced(t, traced, reference, pause)
}

// runTraced starts a node on a volume that a trace has laid out.
func runTraced(t *testing.T, file, reference, pause string) {
	t.Helper()
	disk := node.AttachDisk(t, file)
	n := node.Start(t, node.Options{Containerd: node.NewestContainerd(t), Root: disk.ContainerdRoot(), SandboxImage: pause})
	result, err := n.CRI.Run(t.Context(), node.Pod{Name: "app", Image: reference, Command: []string{"/usr/bin/probe", "print", "/lib/read", "/usr/lib/unread"}})
	if want := (node.Result{Log: "read\nunread\n"}); err != nil || result != want {
		t.Errorf("the container of the traced volume: %+v, %v; want %+v", result, err, want)
	}
	n.Stop(t)
	disk.Detach(t)
}
