package simulation

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

var histories = flag.Uint64("histories", 20, "how many random histories of volumes to go through")

// steps is how many volumes follow the first one in a history.
const steps = 4

// TestVolumeHistories takes volumes through random histories. One history is run again by its seed:
//
//	go test ./test/simulation -histories 200 -run TestVolumeHistories/seed=17
func TestVolumeHistories(t *testing.T) {
	for seed := range *histories {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, seed)
			defer h.stop()
			h.run()
		})
	}
}

// history is a chain of snapshots in one account.
type history struct {
	*testing.T
	seed     uint64
	random   *rand.Rand
	server   *registry.Server
	registry *image.Client
	ebs      *ebs.Client

	content content
	// size is the volume's in GiB, 0 while it is computed.
	size int64
	// trace is what the volumes are laid out by, nil for none. It has a randomness of its own.
	trace  *volume.Trace
	traces *rand.Rand
	// parent is the last snapshot's id.
	parent string
}

func newHistory(t *testing.T, seed uint64) *history {
	server, err := registry.Start(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{
		T: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), traces: rand.New(rand.NewPCG(seed, 1<<32)), server: server,
		registry: image.NewClient(image.Options{}),
		ebs:      ebs.New(fakeaws.NewForTest(t, fakeaws.Options{}).Config(), ebs.Options{}),
	}
	if h.random.IntN(4) > 0 {
		h.size = 2 // little space: reservations shrink, layers overflow
	}
	if h.traces.IntN(2) == 0 {
		h.retrace()
	}
	return h
}

// stop is no cleanup of the test, which would hold the registry's layers until the last history is finished.
func (h *history) stop() {
	if err := h.server.Stop(); err != nil {
		h.Error(err)
	}
}

// retrace has the next volume laid out by a random trace.
func (h *history) retrace() {
	trace, err := volume.ParseTrace([]byte(tracePaths(h.traces)))
	if err != nil {
		h.Fatal(err)
	}
	h.trace = trace
}

func (h *history) run() {
	did := h.content.add(h.random)
	for number := range steps + 1 {
		h.Logf("%d: %s: %s, %d GiB", number, did, h.content, h.size)
		h.build(number)
		if h.Failed() {
			return
		}
		did = h.content.step(h.random)
		if h.size > 0 && h.random.IntN(4) == 0 {
			h.size += h.random.Int64N(20)
			did += " and grow"
		}
		if h.trace != nil && h.traces.IntN(6) == 0 {
			h.retrace()
			did += " and trace anew"
		}
	}
}

// build makes the volume upon its parent and checks it against one that is built from nothing.
func (h *history) build(number int) {
	images := h.resolve()
	request := volume.Request{Images: images, Size: h.size, Layers: h.registry, Trace: h.trace, Progress: func(int64, int64) {}}
	upon := request
	if h.parent != "" {
		parent := h.parent
		upon.Parent = &volume.Parent{Name: parent, Open: func(ctx context.Context) (volume.RawDisk, error) {
			return h.ebs.Open(ctx, parent)
		}}
	}
	upon.Create = func(ctx context.Context, size int64, parent volume.RawDisk) (volume.Output, error) {
		input := ebs.StartInput{VolumeSize: size, Attempt: number}
		if parent != nil {
			input.ParentSnapshotID = h.parent
		}
		upload, err := h.ebs.Start(ctx, input)
		if err != nil {
			return nil, err
		}
		h.parent = upload.SnapshotID
		return upload, nil
	}
	result, err := volume.Make(h.Context(), upon)
	if err != nil {
		h.Fatal(err)
	}
	h.Logf("%s: %d of %d layers stayed, %d blocks were written; without the parent: %v",
		h.parent, result.Kept, result.Layers, result.Blocks, result.WithoutParent)
	h.check(request)
}

// check compares the snapshot with a volume of the same images in a file.
func (h *history) check(request volume.Request) {
	snapshot, err := h.ebs.Open(h.Context(), h.parent)
	if err != nil {
		h.Fatal(err)
	}
	directory, err := os.MkdirTemp("", "larder-simulation-") // gone before the next step: there are many
	if err != nil {
		h.Fatal(err)
	}
	defer os.RemoveAll(directory)
	child := h.file(filepath.Join(directory, "child.img"), snapshot)
	h.e2fsck(child)

	full := filepath.Join(directory, "full.img")
	request.Create = func(_ context.Context, size int64, _ volume.RawDisk) (volume.Output, error) {
		return volume.CreateFile(full, size)
	}
	if _, err := volume.Make(h.Context(), request); err != nil {
		h.Fatal(err)
	}
	want, wantSize := openFile(h.T, full)
	got, gotSize := openFile(h.T, child)
	if diff := cmp.Diff(contents(h.T, want, wantSize), contents(h.T, got, gotSize)); diff != "" {
		h.Errorf("%s is not what a build from nothing makes (-nothing +child):\n%s", h.parent, diff)
	}
	checkDigests(h.T, got, gotSize)
}

func (h *history) resolve() []image.Image {
	images := make([]image.Image, 0, len(h.content.images))
	for _, spec := range h.content.images {
		reference, err := h.server.Push(h.Context(), spec.name+":latest", spec.artifact(h.seed))
		if err != nil {
			h.Fatal(err)
		}
		resolved, err := h.registry.Resolve(h.Context(), reference, []string{"linux/amd64"})
		if err != nil {
			h.Fatal(err)
		}
		images = append(images, *resolved)
	}
	return images
}

// file writes a snapshot to a sparse file.
func (h *history) file(path string, snapshot *ebs.Reader) string {
	disk, err := volume.CreateFileFrom(h.Context(), path, snapshot.Size()>>30, snapshot)
	if err != nil {
		h.Fatal(err)
	}
	if err := disk.Complete(h.Context()); err != nil {
		h.Fatal(err)
	}
	return path
}

func (h *history) e2fsck(path string) {
	if output, err := exec.CommandContext(h.Context(), "e2fsck", "-fn", path+"?offset=1048576").CombinedOutput(); err != nil {
		h.Errorf("e2fsck: %v\n%s", err, output)
	}
}

func openFile(t *testing.T, path string) (*os.File, int64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return file, info.Size()
}
