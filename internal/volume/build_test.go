package volume_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/registry"
)

// fixture is a registry with images, and a client for it.
type fixture struct {
	server *registry.Server
	client *image.Client
}

func newFixture(t *testing.T, options registry.Options) *fixture {
	t.Helper()
	server, err := registry.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &fixture{server: server, client: image.NewClient(image.Options{})}
}

func (f *fixture) push(t *testing.T, name string, artifact registry.Artifact) image.Image {
	t.Helper()
	reference, err := f.server.Push(t.Context(), name, artifact)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := f.client.Resolve(t.Context(), reference, []string{"linux/amd64", "linux/arm64"})
	if err != nil {
		t.Fatal(err)
	}
	return *resolved
}

func (f *fixture) samples(t *testing.T) []image.Image {
	t.Helper()
	var images []image.Image
	for _, sample := range registry.Samples() {
		images = append(images, f.push(t, sample.Name, sample.Artifact))
	}
	return images
}

// makeFile makes a volume of images in a file and returns its path.
func (f *fixture) makeFile(t *testing.T, images []image.Image, size int64) (string, error) {
	t.Helper()
	path, _, err := f.make(t, volume.Request{Images: images, Size: size})
	return path, err
}

// make makes what is requested in a file, from the fixture's registry, and returns the file's path.
func (f *fixture) make(t *testing.T, request volume.Request) (string, *volume.Result, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.img")
	request.Layers = f.client
	request.Progress = func(int64, int64) {}
	request.Create = func(ctx context.Context, size int64, from volume.RawDisk) (volume.Output, error) {
		if from == nil {
			return volume.CreateFile(path, size)
		}
		return volume.CreateFileFrom(ctx, path, size, from)
	}
	result, err := volume.Make(t.Context(), request)
	return path, result, err
}

func inspect(t *testing.T, path string) *volume.Contents {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	contents, err := volume.Inspect(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func run(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), name, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, output)
	}
	return string(output)
}

func TestVolumeIsAValidDisk(t *testing.T) {
	f := newFixture(t, registry.Options{})
	path, err := f.makeFile(t, f.samples(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if says := run(t, "sfdisk", "--verify", path); !strings.Contains(says, "No errors detected") {
		t.Errorf("sfdisk finds fault with the partition table:\n%s", says)
	}
	table := run(t, "sfdisk", "--dump", path)
	for _, want := range []string{
		"start=        2048",
		"type=626F7474-6C65-6474-6861-726D61726B73",
		"uuid=5B94E8DF-28B8-485C-9D19-362263B5944C",
		`name="BOTTLEROCKET-DATA"`,
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the partition table has no %s:\n%s", want, table)
		}
	}
	run(t, "e2fsck", "-fn", path+"?offset=1048576")
}

func TestVolumeListsItsImages(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := f.samples(t)
	path, err := f.makeFile(t, images, 4)
	if err != nil {
		t.Fatal(err)
	}
	got := inspect(t, path)
	if got.Format != "Bottlerocket" || got.Size != 4<<30 || len(got.Images) != len(images) {
		t.Fatalf("inspect says %+v, want %d images in a Bottlerocket volume of 4 GiB", got, len(images))
	}
	for _, img := range images {
		names := img.Names()
		slices.Sort(names)
		i := slices.IndexFunc(got.Images, func(c volume.ContentsImage) bool { return c.Digest == img.Target.Digest })
		if i < 0 {
			t.Fatalf("%s is not on the volume", img.Reference)
		}
		if diff := cmp.Diff(names, got.Images[i].Names); diff != "" {
			t.Errorf("names of %s (-want +got):\n%s", img.Reference, diff)
		}
		if !got.Images[i].Pinned {
			t.Errorf("%s is not pinned: kubelet may collect it", img.Reference)
		}
	}
}

// TestVolumeDoesNotDependOnTiming is about the rule that the same images and size give the same bytes.
func TestVolumeDoesNotDependOnTiming(t *testing.T) {
	var address string
	var want map[int64][sha256.Size]byte
	for _, c := range []struct {
		processors int
		options    registry.Options
	}{
		{1, registry.Options{}},
		{4, registry.Options{}},
		{4, registry.Options{MaxDelay: 50 * time.Millisecond, Seed: 1}},
		{4, registry.Options{MaxDelay: 50 * time.Millisecond, Seed: 2}},
	} {
		before := runtime.GOMAXPROCS(c.processors)
		// The registry's address is in the images' names, so it has to be the same one.
		c.options.Address = address
		f := newFixture(t, c.options)
		address = f.server.Host()
		// A given size leaves little for first extents, so that layers overflow.
		disk := newMemoryDisk(t)
		_, err := volume.Make(t.Context(), disk.request(f.samples(t), f.client, 2))
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.server.Stop(); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = disk.blocks
		}
		if !maps.Equal(want, disk.blocks) {
			t.Errorf("%+v: the disk differs from the first one", c)
		}
	}
}

// memoryDisk keeps blocks, and fails the test when one comes twice or is all zero.
type memoryDisk struct {
	t  *testing.T
	mu sync.Mutex

	blocks            map[int64][sha256.Size]byte
	completed, undone bool
	// full makes it refuse everything.
	full bool
}

func newMemoryDisk(t *testing.T) *memoryDisk {
	return &memoryDisk{t: t, blocks: map[int64][sha256.Size]byte{}}
}

// request is for a volume on this disk.
func (m *memoryDisk) request(images []image.Image, layers volume.Layers, size int64) volume.Request {
	return volume.Request{
		Images:   images,
		Size:     size,
		Layers:   layers,
		Create:   func(context.Context, int64, volume.RawDisk) (volume.Output, error) { return m, nil },
		Progress: func(int64, int64) {},
	}
}

func (m *memoryDisk) WriteBlock(_ context.Context, index int64, data []byte, sum [sha256.Size]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		return &ext4.OutOfBlocks{Need: 1}
	}
	if _, twice := m.blocks[index]; twice {
		m.t.Errorf("block %d was written twice", index)
	}
	if len(data) != volume.BlockSize || sha256.Sum256(data) != sum {
		m.t.Errorf("block %d: %d bytes, or a wrong sum", index, len(data))
	}
	if sum == sha256.Sum256(make([]byte, volume.BlockSize)) {
		m.t.Errorf("block %d is all zero: nothing to send", index)
	}
	m.blocks[index] = sum
	return nil
}

func (m *memoryDisk) Complete(context.Context) error { m.completed = true; return nil }
func (m *memoryDisk) Abort(context.Context) error    { m.undone = true; return nil }

func TestVolumeWritesEveryBlockOnce(t *testing.T) {
	f := newFixture(t, registry.Options{})
	disk := newMemoryDisk(t)
	var read, total int64
	var mu sync.Mutex
	request := disk.request(f.samples(t), f.client, 0)
	request.Progress = func(r, all int64) {
		mu.Lock()
		defer mu.Unlock()
		read, total = max(read, r), all
	}
	result, err := volume.Make(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(disk.blocks)) != result.Blocks {
		t.Errorf("%d blocks were written, the result says %d", len(disk.blocks), result.Blocks)
	}
	if !disk.completed || disk.undone {
		t.Errorf("completed %t, aborted %t", disk.completed, disk.undone)
	}
	if read == 0 || read != total {
		t.Errorf("progress ended at %d of %d bytes", read, total)
	}
}

func TestVolumeSaysWhatIsWrongAndLeavesNothing(t *testing.T) {
	good := registry.Layer{Entries: []registry.Entry{{Name: "etc/"}, {Name: "etc/motd", Content: []byte("hello\n")}}}
	cases := map[string]struct {
		reason string
		image  registry.Image
		effect registry.Effect
		size   int64
		check  func(error) bool
	}{
		"climbing name": {
			reason: "an entry with ../ would write outside of its layer",
			image:  registry.Image{Layers: []registry.Layer{good, {Entries: []registry.Entry{{Name: "../../etc/shadow", Content: []byte("x")}}}}},
			check: func(err error) bool {
				var e *layer.EntryError
				return errors.As(err, &e) && strings.Contains(err.Error(), "shadow")
			},
		},
		"truncated": {
			reason: "a layer that ends early is not what its digest says",
			image:  registry.Image{Layers: []registry.Layer{good}},
			effect: registry.Truncate,
			check:  func(err error) bool { var e *volume.LayerError; return errors.As(err, &e) },
		},
		"overlong": {
			reason: "a layer that goes on is not what its descriptor says",
			image:  registry.Image{Layers: []registry.Layer{good}},
			effect: registry.Extend,
			check:  func(err error) bool { var e *volume.LayerError; return errors.As(err, &e) },
		},
		"wrong content": {
			reason: "content must have its digest",
			image:  registry.Image{Layers: []registry.Layer{good}},
			effect: registry.Corrupt,
			check:  func(err error) bool { return image.ReasonOf(err) == image.DigestMismatch },
		},
		"out of inodes": {
			reason: "a volume of 2 GiB has 131,072 inodes, whatever their files' sizes",
			image:  registry.Image{Layers: []registry.Layer{{Entries: emptyFiles(140_000)}}},
			size:   2,
			check:  func(err error) bool { var e *ext4.OutOfInodes; return errors.As(err, &e) },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, registry.Options{})
			resolved := f.push(t, "bad/image:v1", c.image)
			if c.effect != nil {
				// The config was read when the image was resolved, so blobs are layers now.
				f.server.Inject(registry.Fault{Path: "/blobs/", Effect: c.effect})
			}
			path, err := f.makeFile(t, []image.Image{resolved}, c.size)
			if err == nil || !c.check(err) {
				t.Errorf("%s: got %v", c.reason, err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
				t.Errorf("%v is left behind", left)
			}
		})
	}
}

func emptyFiles(count int) []registry.Entry {
	entries := make([]registry.Entry, count)
	for i := range entries {
		entries[i] = registry.Entry{Name: "file-" + hex.EncodeToString([]byte{byte(i >> 16), byte(i >> 8), byte(i)})}
	}
	return entries
}

// zeros is a registry whose only layer is a file of so many bytes, all zero.
type zeros int64

func (z zeros) OpenLayer(context.Context, string, image.Layer) (io.ReadCloser, error) {
	var header bytes.Buffer
	writer := tar.NewWriter(&header)
	if err := writer.WriteHeader(&tar.Header{Name: "zeros", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(z)}); err != nil {
		return nil, err
	}
	return io.NopCloser(io.MultiReader(&header, zeroReader{})), nil
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestVolumeStopsWhenItIsFull is about a layer that only unpacking shows to be too large: a bomb, or an
// unlucky ratio.
func TestVolumeStopsWhenItIsFull(t *testing.T) {
	cases := map[string]struct {
		reason string
		size   zeros
		check  func(error) bool
	}{
		"longer than the volume": {
			reason: "a bomb is told by its header",
			size:   1 << 40,
			check:  func(err error) bool { var limit *layer.LimitError; return errors.As(err, &limit) },
		},
		"too long for what is free": {
			reason: "the journal and the tables need their part",
			size:   2<<30 - 1<<20,
			check:  func(err error) bool { var full *ext4.OutOfBlocks; return errors.As(err, &full) },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, registry.Options{})
			bomb := f.push(t, "bomb/zeros:v1", registry.Image{Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "etc/"}}}}})
			disk := newMemoryDisk(t)
			_, err := volume.Make(t.Context(), disk.request([]image.Image{bomb}, c.size, 2))
			if !c.check(err) {
				t.Errorf("%s: got %v", c.reason, err)
			}
			if disk.completed || !disk.undone {
				t.Error("a disk that did not fit was not undone")
			}
		})
	}
}

// TestVolumeDoublesAComputedSizeOnce: a size that was computed may be wrong once; one that was given is what
// the user wants.
func TestVolumeDoublesAComputedSizeOnce(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := f.samples(t)
	for name, c := range map[string]struct {
		size   int64
		full   bool
		layers volume.Layers
		want   []int64
	}{
		"given":                        {size: 4, full: true, layers: f.client, want: []int64{4}},
		"computed":                     {size: 0, full: true, layers: f.client, want: []int64{8, 16}},
		"given, and a longer layer":    {size: 4, layers: zeros(1 << 40), want: []int64{4}},
		"computed, and a longer layer": {size: 0, layers: zeros(1 << 40), want: []int64{8, 16}},
	} {
		t.Run(name, func(t *testing.T) {
			disk := newMemoryDisk(t)
			disk.full = c.full
			var tried []int64
			request := disk.request(images, c.layers, c.size)
			request.Create = func(_ context.Context, size int64, _ volume.RawDisk) (volume.Output, error) {
				tried = append(tried, size)
				return disk, nil
			}
			if _, err := volume.Make(t.Context(), request); err == nil {
				t.Error("a full disk is no error")
			}
			if diff := cmp.Diff(c.want, tried); diff != "" {
				t.Errorf("sizes tried, in GiB (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInspectRefusesWhatIsNotAVolume(t *testing.T) {
	cases := map[string]string{
		"empty disk": "partition table",
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := volume.Inspect(strings.NewReader(strings.Repeat("\x00", 4<<20)), 4<<20)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error about the %s", err, want)
			}
		})
	}
}
