package volume

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"iter"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/tree"
)

// nowhere is a filesystem that is written for nobody.
type nowhere struct{}

func (nowhere) WriteChunk(context.Context, int64, []byte) error { return nil }

// FuzzLayout reads layout records as a parent that someone else made may have them: what is refused is an error, and
// what is accepted can be planned upon and kept.
func FuzzLayout(f *testing.F) {
	f.Add([]byte(`{"version":1,"format":"Bottlerocket","size":8589934592,"regions":[{"blocks":[{"start":133632,"count":128}],
		"inodes":[{"start":2049,"count":2048}],"layers":[{"root":2049,"blocks":[{"start":133632,"count":3}],
		"inodes":[{"start":2049,"count":4}],"directories":{"0":3},"inherited":[{"path":"ZXRj","found":true}]}]}],
		"meta":[{"start":134144,"count":256}],"metaInodes":[{"start":1,"count":2048}],"stale":[{"start":4294967168,"count":128}]}`))
	f.Add([]byte(`{"version":1,"regions":[{"blocks":[{"start":4294967295,"count":4294967295}],"layers":[{}]}]}`))
	f.Add([]byte(`{"version":1,"format":"Bottlerocket","size":8589934592,"trace":"sha256:00","regions":[{"layers":[{"blocks":[{"start":133632,
		"count":3}],"inodes":[{"start":2049,"count":4}],"hot":[{"start":133633,"count":2}],"hotInodes":[{"start":2049,"count":1}]}]}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		layout, err := parseLayout(record)
		if err != nil {
			return
		}
		if again, err := json.Marshal(layout); err != nil {
			t.Errorf("a record that was read cannot be written: %v", err)
		} else if _, err := parseLayout(again); err != nil {
			t.Errorf("a record that was written cannot be read: %v", err)
		}
		base := &base{layout: layout}
		if plan, err := newPlan(kinds[0], []image.Image{testImage("app", mib, kib)}, 0, base, nil); err == nil && plan.Size < layout.Size {
			t.Errorf("a volume of %d bytes was planned upon one of %d", plan.Size, layout.Size)
		}
		keep(layout, base)
	})
}

// FuzzTrace reads traces: what is accepted has clean paths, and is the same when it is written and read again.
func FuzzTrace(f *testing.F) {
	f.Add([]byte("/usr/bin/true\nusr/lib//x\n/./etc/passwd"))
	f.Add([]byte("/\n"))
	f.Add([]byte("a/../b\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trace, err := ParseTrace(text)
		if err != nil {
			return
		}
		for _, path := range trace.paths {
			if !fs.ValidPath(strings.ToValidUTF8(path, "x")) || !trace.has(path) {
				t.Errorf("%q is traced as %q", text, path)
			}
			for directory := range parents(path) {
				if !trace.leadsThrough(directory) {
					t.Errorf("%q does not lead through %q", path, directory)
				}
			}
		}
		again, err := ParseTrace([]byte(strings.Join(trace.paths, "\n")))
		if err != nil || again.digest() != trace.digest() {
			t.Errorf("%q is another trace when it is written again: %v", text, err)
		}
	})
}

// parents yields the directories above a path.
func parents(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, c := range []byte(path) {
			if c == '/' && !yield(path[:i]) {
				return
			}
		}
	}
}

// keep does with a record what a build does before it reads a layer; panics are what is looked for.
func keep(layout *Layout, base *base) {
	base.partition = bytes.NewReader(nil)
	const size = 4 << 30
	writer, err := ext4.NewWriter(nowhere{}, ext4.Options{Size: partitionSize(size), Time: epoch, Previous: base.previous()})
	if err != nil {
		return
	}
	for _, region := range layout.Regions {
		nodes := make([]*tree.Node, len(region.Layers))
		for i := range nodes {
			nodes[i] = tree.NewDirectory(0, epoch)
		}
		if _, err := writer.KeepRegion(region.placement(), nodes); err != nil {
			return
		}
	}
	_, _ = writer.NewRegionAt(rangesOf[tree.Extent](layout.Meta), mib)
}
