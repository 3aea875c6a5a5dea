package volume_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/internal/warm"
	"github.com/larder-dev/larder/test/registry"
)

// traced is an image of a small layer and two of packages, of which every other one has a file that a start reads.
func traced(name string) (img registry.Image, trace []string) {
	img.Layers = []registry.Layer{{Entries: []registry.Entry{{Name: "etc/" + name, Content: []byte(name)}}}}
	for l := range 2 {
		var entries []registry.Entry
		for file := range 200 {
			path := fmt.Sprintf("usr/lib/%s-%d/package-%02d/file-%d", name, l, file/10, file%10)
			entries = append(entries, registry.Entry{Name: path, Content: noise(file+1000*l, 20_000)})
			if file%20 == 7 {
				trace = append(trace, "/"+path)
			}
		}
		img.Layers = append(img.Layers, registry.Layer{Entries: entries})
	}
	return img, append(trace, "/etc/"+name)
}

// noise does not get smaller when it is compressed, so that a layer of it is no small one.
func noise(seed, length int) []byte {
	bytes := make([]byte, length)
	state := uint64(seed)*2862933555777941757 + 3037000493
	for i := range bytes {
		state = state*6364136223846793005 + 1442695040888963407
		bytes[i] = byte(state >> 56)
	}
	return bytes
}

func parseTrace(t *testing.T, paths ...string) *volume.Trace {
	t.Helper()
	trace, err := volume.ParseTrace([]byte(strings.Join(paths, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// makeTraced makes a volume by a trace, in a file, upon a parent if that is not nil.
func (f *fixture) makeTraced(t *testing.T, images []image.Image, trace *volume.Trace, parent *volume.Parent) (string, *volume.Result) {
	t.Helper()
	file, result, err := f.make(t, volume.Request{Images: images, Size: 2, Trace: trace, Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	return file, result
}

// touchedBy reads files of the last image's layers as overlayfs does, and returns the blocks that hold them or lead to
// them in their layer, those of what is not a layer left out.
func touchedBy(t *testing.T, disk *volume.DiskFile, paths []string) map[int64]bool {
	t.Helper()
	length := disk.Size() - 2*partitionMargin
	recorder := &touches{ReaderAt: io.NewSectionReader(disk, partitionMargin, length), blocks: map[int64]bool{}}
	filesystem, err := ext4.Open(recorder, length)
	if err != nil {
		t.Fatal(err)
	}
	layout := readLayout(t, disk)
	found := 0
	for _, region := range layout.Regions {
		for _, l := range region.Layers {
			for _, path := range paths {
				file, err := filesystem.Open(fmt.Sprintf("var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/%d/fs%s", l.Snapshot, path))
				if err != nil {
					continue // in another layer
				}
				found++
				if _, err := io.Copy(io.Discard, file); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if found != len(paths) {
		t.Fatalf("%d of %d files were found", found, len(paths))
	}
	mount := ext4.Layout{Inodes: inodesOf(layout.MetaInodes)}.Chunks()
	for _, chunk := range slices.Concat(chunks(layout.Meta), mount) {
		delete(recorder.blocks, chunk)
	}
	fixed, err := ext4.MountChunks(length)
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range fixed {
		delete(recorder.blocks, chunk)
	}
	return recorder.blocks
}

// checkTracedList is what holds for every volume with a trace: what is hot comes before all else of the layers, then what
// finding other files takes, and blocks that hold nothing but other files are not on the list.
func checkTracedList(t *testing.T, file string) {
	t.Helper()
	disk := openDisk(t, file)
	rank := map[int64]int{} // 1 for hot, 2 for what finding files takes, 3 for other files
	set := func(chunks []int64, to int) {
		for _, chunk := range chunks {
			if rank[chunk] == 0 || to < rank[chunk] {
				rank[chunk] = to
			}
		}
	}
	for _, region := range readLayout(t, disk).Regions {
		set(ext4.Layout{Inodes: inodesOf(region.Inodes)}.Chunks(), 2)
		for _, l := range region.Layers {
			set(slices.Concat(chunks(l.Hot), ext4.Layout{Inodes: inodesOf(l.HotInodes)}.Chunks()), 1)
			set(chunks(l.Structure), 2)
			set(chunks(l.Blocks), 3)
		}
	}
	last := 0
	for at, block := range hotBlocks(t, disk) {
		switch r := rank[block]; {
		case r == 3:
			t.Errorf("block %d holds nothing but files that are not traced, and is on the list", block)
		case r > 0 && r < last:
			t.Errorf("block %d is hot, and number %d of the list, behind others", block, at)
		case r > 0:
			last = r
		}
		delete(rank, block)
	}
	for block, r := range rank {
		if r < 3 {
			t.Errorf("block %d is not on the list: kind %d", block, r)
		}
	}
}

func inodesOf(ranges []volume.LayoutRange) []ext4.Range {
	converted := make([]ext4.Range, len(ranges))
	for i, r := range ranges {
		converted[i] = ext4.Range(r)
	}
	return converted
}

// TestTracedFilesAreTogether counts the blocks that reading the traced files touches.
func TestTracedFilesAreTogether(t *testing.T) {
	f := newFixture(t, registry.Options{})
	img, paths := traced("app")
	images := []image.Image{f.push(t, "app:v1", img)}
	plain, _ := f.makeTraced(t, images, nil, nil)
	laid, _ := f.makeTraced(t, images, parseTrace(t, paths...), nil)
	checkTracedList(t, laid)

	disk := openDisk(t, laid)
	touched := touchedBy(t, disk, paths)
	// A large layer has ten traced files of five blocks and some ten directories on the way to them: a chunk, and one of
	// inodes. The small one is in those of the first.
	const want = 2 * (1 + 1)
	if len(touched) > want {
		t.Errorf("the traced files touch %d blocks, want at most %d", len(touched), want)
	}
	if before := touchedBy(t, openDisk(t, plain), paths); len(before) < 2*len(touched) {
		t.Errorf("the traced files touch %d blocks without a trace and %d with it", len(before), len(touched))
	}
	listed := hotBlocks(t, disk)
	for block := range touched {
		if !slices.Contains(listed, block) {
			t.Errorf("block %d has traced files, and is not on the list", block)
		}
	}
	if contents := inspect(t, laid); contents.Traced < 20*20_000 || contents.Traced > int64(want)*warm.BlockSize {
		t.Errorf("inspect says that %d bytes are traced", contents.Traced)
	}
}

// TestTraceIsAboutPaths: how a trace is written makes no difference, and the volume's bytes are always the same.
func TestTraceIsAboutPaths(t *testing.T) {
	f := newFixture(t, registry.Options{})
	img, paths := traced("app")
	images := []image.Image{f.push(t, "app:v1", img)}
	first, _ := f.makeTraced(t, images, parseTrace(t, paths...), nil)
	other := slices.Concat(paths, paths[:3])
	slices.Reverse(other)
	for i, path := range other {
		other[i] = []string{path[1:], "/." + path}[i%2]
	}
	second, _ := f.makeTraced(t, images, parseTrace(t, other...), nil)
	run(t, "cmp", first, second)
	run(t, "e2fsck", "-fn", first+"?offset=1048576")
}

// TestTraceOfAParent: the same trace keeps all layers where they are, another one none.
func TestTraceOfAParent(t *testing.T) {
	f := newFixture(t, registry.Options{})
	img, paths := traced("app")
	app := f.push(t, "app:v1", img)
	trace := parseTrace(t, paths...)
	files := map[*volume.Trace]string{}
	for _, trace := range []*volume.Trace{nil, trace} {
		files[trace], _ = f.makeTraced(t, []image.Image{app}, trace, nil)
	}
	cases := map[string]struct {
		parent, child *volume.Trace
		kept          int
		says          string
	}{
		"the same":         {trace, parseTrace(t, paths...), 3, ""},
		"another":          {trace, parseTrace(t, paths[1:]...), 0, "parent disk.img cannot be built upon: its files are laid out by another trace"},
		"the first":        {nil, trace, 0, "parent disk.img cannot be built upon: its files are laid out without a trace"},
		"none any more":    {trace, nil, 0, "parent disk.img cannot be built upon: its files are laid out by a trace, and this build has none"},
		"none, as it were": {nil, nil, 3, ""},
	}
	second, _ := traced("two")
	images := []image.Image{app, f.push(t, "two:v1", second)}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			child, result := f.makeTraced(t, images, c.child, stored(t, files[c.parent]))
			says := ""
			if result.WithoutParent != nil {
				says = result.WithoutParent.Error()
			}
			if result.Kept != c.kept || says != c.says {
				t.Errorf("%d layers stayed, without the parent: %q; want %d and %q", result.Kept, says, c.kept, c.says)
			}
			if c.child == nil {
				checkHotList(t, child)
			} else {
				checkTracedList(t, child)
			}
			run(t, "e2fsck", "-fn", child+"?offset=1048576")
		})
	}
}

// TestTraceOfAChildHasWhatStayed is about hot files of which the child knows only what the parent's layout record says.
func TestTraceOfAChildHasWhatStayed(t *testing.T) {
	f := newFixture(t, registry.Options{})
	img, paths := traced("app")
	app := f.push(t, "app:v1", img)
	trace := parseTrace(t, paths...)
	parent, _ := f.makeTraced(t, []image.Image{app}, trace, nil)
	second, _ := traced("two")
	child, _ := f.makeTraced(t, []image.Image{app, f.push(t, "two:v1", second)}, trace, stored(t, parent))
	hot := func(file string) (blocks []tree.Extent) {
		for _, region := range readLayout(t, openDisk(t, file)).Regions {
			for _, l := range region.Layers {
				for _, r := range l.Hot {
					blocks = append(blocks, tree.Extent(r))
				}
			}
		}
		return blocks
	}
	before, after := hot(parent), hot(child)
	if diff := cmp.Diff(before, after[:len(before)]); diff != "" {
		t.Errorf("hot blocks of the layers that stayed (-parent +child):\n%s", diff)
	}
}

func TestTraceIsRefused(t *testing.T) {
	cases := map[string]struct{ text, says string }{
		"nothing":       {"", "the trace is empty"},
		"an empty line": {"/bin/sh\n\n/etc/passwd\n", `line 2 of the trace: "" is not the path of a file`},
		"the root":      {"/bin/sh\n/bin/true\n/\n", `line 3 of the trace: "/" is not the path of a file`},
		"a way up":      {"../etc/passwd\n", `line 1 of the trace: "../etc/passwd" has a ".."`},
		"a NUL byte":    {"/bin/sh\x00\n", "line 1 of the trace: \"/bin/sh\\x00\" holds a NUL byte"},
		"a long path":   {"/bin/sh\n" + strings.Repeat("/x", 2048) + "\n", "line 2 of the trace: a path of 4096 bytes is longer than"},
		"a large file":  {strings.Repeat("/x\n", 6<<20), "the trace is longer than 16 MiB"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := volume.ParseTrace([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got the error %v, want one that says %q", err, c.says)
			}
		})
	}
	if _, err := volume.ParseTrace([]byte("bin/sh")); err != nil {
		t.Errorf("a last line without an end: %v", err)
	}
}

func TestTraceIsNotForPlainFiles(t *testing.T) {
	_, err := volume.Make(t.Context(), volume.Request{Format: volume.Files, Trace: parseTrace(t, "/bin/sh")})
	if err == nil || !strings.Contains(err.Error(), "format Files: a trace is of containers' layers") {
		t.Errorf("got the error %v", err)
	}
}
