//go:build node

package cold_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/larder-dev/larder/test/bench"
	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

var (
	layers  = flag.Int("layers", 60, "layers of the image")
	files   = flag.Int("files", 12_000, "files of the image")
	mb      = flag.Int64("mb", 300, "bytes of the image's files, in MB")
	latency = flag.Duration("latency", 20*time.Millisecond, "what the first touch of a block takes")
	bin     = flag.String("bin", "", "directory with the programs larder, slowdisk, record and app")
)

// blockSize is what EBS fetches at once, in bytes.
const blockSize = 512 << 10

// freshDiskSize in bytes is that of the disk that is pulled to, beside the image's files twice.
const freshDiskSize = 2 << 30

// setup is what all measurements share.
type setup struct {
	*testing.T
	server     *registry.Server
	pause, app string
	directory  string
}

// outcome is one row of the table.
type outcome struct {
	Name string `json:"name"`
	// StartedBlocks and ReadyBlocks count the blocks that were fetched from the mount until the container's program
	// ran, and until it had read its files; the seconds begin at the mount as well.
	StartedBlocks  int     `json:"startedBlocks"`
	StartedSeconds float64 `json:"startedSeconds"`
	ReadyBlocks    int     `json:"readyBlocks"`
	ReadySeconds   float64 `json:"readySeconds"`
	// Fetched says what the blocks until ready hold.
	Fetched map[string]int `json:"fetched,omitempty"`
	// read are the bytes that the program read.
	read int64
}

func TestCold(t *testing.T) {
	machine := bench.ThisMachine()
	s := newSetup(t)
	program, err := os.ReadFile(s.program("app"))
	if err != nil {
		t.Fatal(err)
	}
	app := newApplication(shape{layers: *layers, files: *files, bytes: *mb * 1_000_000}, program)
	s.app = s.push("app:v1", app.image)
	s.pause = s.push("pause:v1", registry.Image{
		Platform:   "linux/" + runtime.GOARCH,
		Layers:     []registry.Layer{{Entries: []registry.Entry{{Name: "app", Mode: 0o755, Content: program}}}},
		Entrypoint: []string{"/app", "pause"},
	})
	plain := s.build("plain.img")
	traced := s.build("traced.img", "--trace", s.record(plain))
	outcomes := []outcome{
		s.volume("plain", plain, *latency, false),
		s.volume("trace", traced, *latency, false),
		s.volume("larder warm", plain, *latency, true),
		s.volume("trace, larder warm", traced, *latency, true),
		s.volume("warm volume", plain, 0, false),
		s.pull(),
	}
	report = summary(machine, outcomes)
}

func newSetup(t *testing.T) *setup {
	server, err := registry.Start(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &setup{T: t, server: server, directory: t.TempDir()}
}

func (s *setup) program(name string) string { return filepath.Join(*bin, name) }

func (s *setup) push(name string, image registry.Image) string {
	s.Helper()
	image.Platform = "linux/" + runtime.GOARCH
	reference, err := s.server.Push(s.Context(), name, image)
	if err != nil {
		s.Fatal(err)
	}
	return reference
}

// build makes a volume of both images and returns its path.
func (s *setup) build(name string, options ...string) string {
	s.Helper()
	file := filepath.Join(s.directory, name)
	run(s.T, s.program("larder"), append([]string{"build", "--platform", "linux/" + runtime.GOARCH,
		"--image", s.pause, "--image", s.app, "--output", file}, options...)...)
	return file
}

// volume starts the application from a volume, with larder warm beside it if wanted.
func (s *setup) volume(name, image string, latency time.Duration, warm bool) outcome {
	s.Helper()
	disk := mountCold(s.T, s.program("slowdisk"), image, latency)
	var warming *exec.Cmd
	if warm {
		warming = exec.CommandContext(s.Context(), s.program("larder"), "warm", disk.mountpoint)
		warming.Stdout, warming.Stderr = os.Stderr, os.Stderr
		if err := warming.Start(); err != nil {
			s.Fatal(err)
		}
	}
	n := node.Start(s.T, node.Options{Containerd: node.NewestContainerd(s.T), Root: disk.containerdRoot(), SandboxImage: s.pause})
	started, ready, read := s.start(n)
	if warm {
		if err := warming.Wait(); err != nil {
			s.Fatal(err)
		}
	}
	n.Stop(s.T)
	disk.unmount(s.T)
	until := disk.fetched(s.T, ready)
	return outcome{
		Name:           name,
		StartedBlocks:  len(disk.fetched(s.T, started)),
		StartedSeconds: started.Sub(disk.mounted).Seconds(),
		ReadyBlocks:    len(until),
		ReadySeconds:   ready.Sub(disk.mounted).Seconds(),
		Fetched:        countContents(until, contentsOf(s.T, image)),
		read:           read,
	}
}

// pull starts the application on a node that has to pull it first, on a disk that is not slow: a new volume has
// nothing to fetch.
func (s *setup) pull() outcome {
	s.Helper()
	root := filepath.Join(node.NewEmptyDisk(s.T, freshDiskSize+2*1_000_000**mb), "containerd")
	begun := time.Now()
	n := node.Start(s.T, node.Options{Containerd: node.NewestContainerd(s.T), Root: root, SandboxImage: s.pause})
	for _, reference := range []string{s.pause, s.app} {
		if err := n.CRI.Pull(s.Context(), reference); err != nil {
			s.Fatal(err)
		}
	}
	started, ready, read := s.start(n)
	n.Stop(s.T)
	return outcome{Name: "pull", StartedSeconds: started.Sub(begun).Seconds(), ReadySeconds: ready.Sub(begun).Seconds(), read: read}
}

// start runs the application and returns what it says of itself.
func (s *setup) start(n *node.Node) (started, ready time.Time, read int64) {
	s.Helper()
	result, err := n.CRI.Run(s.Context(), node.Pod{Name: "app", Image: s.app})
	if err != nil {
		s.Fatal(err)
	}
	var startedAt, readyAt int64
	if _, err := fmt.Sscanf(result.Log, "started %d\nready %d %d\n", &startedAt, &readyAt, &read); err != nil || result.ExitCode != 0 {
		s.Fatalf("the application ended with status %d and said %q: %v", result.ExitCode, result.Log, err)
	}
	return time.Unix(0, startedAt), time.Unix(0, readyAt), read
}

func summary(machine bench.Machine, outcomes []outcome) bench.Report {
	read := outcomes[0].read
	least := float64(read) / blockSize
	rows := []string{"\tblocks to started\ts\tblocks to ready\ts\tblocks / least"}
	for _, o := range outcomes {
		rows = append(rows, fmt.Sprintf("%s\t%d\t%.2f\t%d\t%.2f\t%.2f",
			o.Name, o.StartedBlocks, o.StartedSeconds, o.ReadyBlocks, o.ReadySeconds, float64(o.ReadyBlocks)/least))
	}
	return bench.Report{
		Title: fmt.Sprintf("%d layers, %d files, %d MB; the application reads %.1f MB, at least %.0f blocks of 512 KiB (%s)",
			*layers, *files, *mb, float64(read)/1e6, least, machine),
		Tables: [][]string{rows, contentRows(outcomes)},
		JSON: map[string]any{
			"benchmark": "cold", "machine": machine, "layers": *layers, "files": *files, "mb": *mb,
			"latencySeconds": latency.Seconds(), "readBytes": read, "outcomes": outcomes,
		},
	}
}
