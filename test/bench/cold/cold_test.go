//go:build node

package cold_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

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

// bench is what all measurements share.
type bench struct {
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
	b := newBench(t)
	program, err := os.ReadFile(b.program("app"))
	if err != nil {
		t.Fatal(err)
	}
	app := newApplication(shape{layers: *layers, files: *files, bytes: *mb * 1_000_000}, program)
	b.app = b.push("app:v1", app.image)
	b.pause = b.push("pause:v1", registry.Image{
		Platform:   "linux/" + runtime.GOARCH,
		Layers:     []registry.Layer{{Entries: []registry.Entry{{Name: "app", Mode: 0o755, Content: program}}}},
		Entrypoint: []string{"/app", "pause"},
	})
	plain := b.build("plain.img")
	traced := b.build("traced.img", "--trace", b.record(plain))
	outcomes := []outcome{
		b.volume("plain", plain, *latency, false),
		b.volume("trace", traced, *latency, false),
		b.volume("larder warm", plain, *latency, true),
		b.volume("trace, larder warm", traced, *latency, true),
		b.volume("warm volume", plain, 0, false),
		b.pull(),
	}
	report(t, outcomes)
}

func newBench(t *testing.T) *bench {
	server, err := registry.Start(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &bench{T: t, server: server, directory: t.TempDir()}
}

func (b *bench) program(name string) string { return filepath.Join(*bin, name) }

func (b *bench) push(name string, image registry.Image) string {
	b.Helper()
	image.Platform = "linux/" + runtime.GOARCH
	reference, err := b.server.Push(b.Context(), name, image)
	if err != nil {
		b.Fatal(err)
	}
	return reference
}

// build makes a volume of both images and returns its path.
func (b *bench) build(name string, options ...string) string {
	b.Helper()
	file := filepath.Join(b.directory, name)
	run(b.T, b.program("larder"), append([]string{"build", "--platform", "linux/" + runtime.GOARCH,
		"--image", b.pause, "--image", b.app, "--output", file}, options...)...)
	return file
}

// volume starts the application from a volume, with larder warm beside it if wanted.
func (b *bench) volume(name, image string, latency time.Duration, warm bool) outcome {
	b.Helper()
	disk := mountCold(b.T, b.program("slowdisk"), image, latency)
	var warming *exec.Cmd
	if warm {
		warming = exec.CommandContext(b.Context(), b.program("larder"), "warm", disk.mountpoint)
		warming.Stdout, warming.Stderr = os.Stderr, os.Stderr
		if err := warming.Start(); err != nil {
			b.Fatal(err)
		}
	}
	n := node.Start(b.T, node.Options{Containerd: node.NewestContainerd(b.T), Root: disk.containerdRoot(), SandboxImage: b.pause})
	started, ready, read := b.start(n)
	if warm {
		if err := warming.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	n.Stop(b.T)
	disk.unmount(b.T)
	until := disk.fetched(b.T, ready)
	return outcome{
		Name:           name,
		StartedBlocks:  len(disk.fetched(b.T, started)),
		StartedSeconds: started.Sub(disk.mounted).Seconds(),
		ReadyBlocks:    len(until),
		ReadySeconds:   ready.Sub(disk.mounted).Seconds(),
		Fetched:        countContents(until, contentsOf(b.T, image)),
		read:           read,
	}
}

// pull starts the application on a node that has to pull it first, on a disk that is not slow: a new volume has
// nothing to fetch.
func (b *bench) pull() outcome {
	b.Helper()
	root := filepath.Join(node.NewEmptyDisk(b.T, freshDiskSize+2*1_000_000**mb), "containerd")
	begun := time.Now()
	n := node.Start(b.T, node.Options{Containerd: node.NewestContainerd(b.T), Root: root, SandboxImage: b.pause})
	for _, reference := range []string{b.pause, b.app} {
		if err := n.CRI.Pull(b.Context(), reference); err != nil {
			b.Fatal(err)
		}
	}
	started, ready, read := b.start(n)
	n.Stop(b.T)
	return outcome{Name: "pull", StartedSeconds: started.Sub(begun).Seconds(), ReadySeconds: ready.Sub(begun).Seconds(), read: read}
}

// start runs the application and returns what it says of itself.
func (b *bench) start(n *node.Node) (started, ready time.Time, read int64) {
	b.Helper()
	result, err := n.CRI.Run(b.Context(), node.Pod{Name: "app", Image: b.app})
	if err != nil {
		b.Fatal(err)
	}
	var startedAt, readyAt int64
	if _, err := fmt.Sscanf(result.Log, "started %d\nready %d %d\n", &startedAt, &readyAt, &read); err != nil || result.ExitCode != 0 {
		b.Fatalf("the application ended with status %d and said %q: %v", result.ExitCode, result.Log, err)
	}
	return time.Unix(0, startedAt), time.Unix(0, readyAt), read
}

// report writes a table, and the same as one last line of JSON.
func report(t *testing.T, outcomes []outcome) {
	t.Helper()
	read := outcomes[0].read
	least := float64(read) / blockSize
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tblocks to started\ts\tblocks to ready\ts\tblocks / least\t")
	for _, o := range outcomes {
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%d\t%.2f\t%.2f\t\n",
			o.Name, o.StartedBlocks, o.StartedSeconds, o.ReadyBlocks, o.ReadySeconds, float64(o.ReadyBlocks)/least)
	}
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	writeContents(t, &text, outcomes)
	line, err := json.Marshal(map[string]any{
		"layers": *layers, "files": *files, "mb": *mb, "latency": latency.Seconds(), "readBytes": read, "outcomes": outcomes,
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d layers, %d files, %d MB; the application reads %.1f MB, at least %.0f blocks of 512 KiB\n\n%s\n%s\n",
		*layers, *files, *mb, float64(read)/1e6, least, &text, line)
}
