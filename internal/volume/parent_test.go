package volume_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/registry"
)

// stored opens a disk image as a parent.
func stored(t *testing.T, path string) *volume.Parent {
	return &volume.Parent{Name: "disk.img", Open: func(context.Context) (volume.RawDisk, error) {
		disk, err := volume.OpenFile(path)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() {
			if err := disk.Close(); err != nil {
				t.Error(err)
			}
		})
		return disk, nil
	}}
}

// makeUpon makes a volume upon a parent, in a file.
func (f *fixture) makeUpon(t *testing.T, images []image.Image, size int64, parent *volume.Parent) (string, *volume.Result, error) {
	t.Helper()
	return f.make(t, volume.Request{Images: images, Size: size, Parent: parent})
}

// named is an image with a file of its own above layers that it shares with all others.
func named(name string) registry.Image {
	return registry.Image{Layers: []registry.Layer{
		{Entries: []registry.Entry{{Name: "etc/", Mode: 0o711}, {Name: "etc/motd", Content: bytes.Repeat([]byte("shared\n"), 100_000)}}},
		{Entries: []registry.Entry{{Name: "etc/" + name, Content: []byte(name)}}},
	}}
}

// TestParentIsUsed is about what costs time: layers that the parent has are not asked for, and hardly a block differs.
func TestParentIsUsed(t *testing.T) {
	f := newFixture(t, registry.Options{})
	first := f.push(t, "app/one:v1", named("one"))
	parent, err := f.makeFile(t, []image.Image{first}, 2)
	if err != nil {
		t.Fatal(err)
	}
	second := f.push(t, "app/two:v1", named("two"))
	_, result, err := f.makeUpon(t, []image.Image{first, second}, 2, stored(t, parent))
	if err != nil {
		t.Fatal(err)
	}
	if result.WithoutParent != nil || result.Kept != 2 || result.Layers != 3 {
		t.Errorf("%d of %d layers stayed, without the parent: %v; want 2 of 3", result.Kept, result.Layers, result.WithoutParent)
	}
	newLayer := second.Manifests[0].Layers[1].Descriptor.Size
	if result.LayerBytes != newLayer {
		t.Errorf("%d bytes of layers were read, want the new layer's %d", result.LayerBytes, newLayer)
	}
	again, unchanged, err := f.makeUpon(t, []image.Image{first}, 2, stored(t, parent))
	if err != nil {
		t.Fatal(err)
	}
	if unchanged.Blocks != 0 || unchanged.LayerBytes != 0 {
		t.Errorf("the same images again: %d blocks and %d bytes of layers, want none", unchanged.Blocks, unchanged.LayerBytes)
	}
	if run(t, "cmp", parent, again); t.Failed() {
		t.Error("the same images upon their own volume are another volume")
	}
}

// TestParentThatInheritsDifferentlyIsNotUsed is about a layer that stays the same while the ones below it change what
// its directories look like.
func TestParentThatInheritsDifferentlyIsNotUsed(t *testing.T) {
	f := newFixture(t, registry.Options{})
	top := registry.Layer{Entries: []registry.Entry{{Name: "srv/data/file", Content: []byte("top")}}}
	over := func(mode int64) registry.Image {
		return registry.Image{Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "srv/", Mode: mode}}}, top}}
	}
	parent, err := f.makeFile(t, []image.Image{f.push(t, "app:v1", over(0o700))}, 2)
	if err != nil {
		t.Fatal(err)
	}
	path, result, err := f.makeUpon(t, []image.Image{f.push(t, "app:v1", over(0o750))}, 2, stored(t, parent))
	if err != nil {
		t.Fatal(err)
	}
	if result.WithoutParent != nil || result.Kept != 0 {
		t.Errorf("%d layers stayed, without the parent: %v; want 0 upon it", result.Kept, result.WithoutParent)
	}
	run(t, "e2fsck", "-fn", path+"?offset=1048576")
}

func TestParentThatCannotBeUsed(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := []image.Image{f.push(t, "app:v1", named("one"))}
	path, err := f.makeFile(t, images, 3)
	if err != nil {
		t.Fatal(err)
	}
	good := stored(t, path)
	cases := map[string]struct {
		size   int64
		parent *volume.Parent
		refuse error
		want   string
	}{
		"gone":     {parent: &volume.Parent{Name: "snap-1", Open: gone}, want: "parent snap-1 cannot be built upon: the snapshot does not exist"},
		"no disk":  {parent: damaged(good, func(p []byte, _ int64) { clear(p) }), want: "partition table"},
		"no ext4":  {parent: changed(good, 1<<20+1024, make([]byte, 1024)), want: "no ext4 filesystem"},
		"mounted":  {parent: changed(good, 1<<20+1024+52, []byte{1}), want: "it was mounted since it was made"},
		"in use":   {parent: changed(good, 1<<20+1024+48, []byte{0xff}), want: "it was mounted since it was made"},
		"not ours": {parent: changed(good, 1<<20+1024+104, make([]byte, 16)), want: "belongs to another filesystem"},
		"record of another version": {
			parent: edited(good, `{"version":1,`, `{"version":9,`), want: "version 9 is not known",
		},
		"record that is damaged": {parent: edited(good, `{"version":1,`, `{"version":1;`), want: "reading the layout record"},
		"record of another format": {
			parent: edited(good, `"format":"Bottlerocket"`, `"format":"Bottlerocked"`), want: "it has the format Bottlerocked",
		},
		"larger than asked":     {size: 2, parent: good, want: "it has 3 GiB, and the volume shall have 2"},
		"refused by the output": {parent: good, refuse: &volume.ParentError{Err: errors.New("its key is disabled")}, want: "its key is disabled"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "child.img")
			result, err := volume.Make(t.Context(), volume.Request{
				Images: images, Size: c.size, Layers: f.client, Parent: c.parent,
				Create: func(_ context.Context, size int64, from volume.RawDisk) (volume.Output, error) {
					if from != nil {
						return nil, c.refuse
					}
					return volume.CreateFile(path, size)
				},
				Progress: func(int64, int64) {},
			})
			if err != nil {
				t.Fatal(err)
			}
			if result.WithoutParent == nil || !strings.Contains(result.WithoutParent.Error(), c.want) {
				t.Errorf("built without the parent because of %v, want %q", result.WithoutParent, c.want)
			}
			if result.Kept != 0 || len(inspect(t, path).Images) != 1 {
				t.Errorf("%d layers stayed of a parent that is not used", result.Kept)
			}
		})
	}
}

func gone(context.Context) (volume.RawDisk, error) {
	return nil, errors.New("the snapshot does not exist")
}

// damagedDisk reads like another disk, but for some bytes.
type damagedDisk struct {
	volume.RawDisk
	damage func(p []byte, offset int64)
}

func (d *damagedDisk) ReadAt(p []byte, offset int64) (int, error) {
	n, err := d.RawDisk.ReadAt(p, offset)
	d.damage(p[:n], offset)
	return n, err
}

func damaged(parent *volume.Parent, damage func(p []byte, offset int64)) *volume.Parent {
	return &volume.Parent{Name: parent.Name, Open: func(ctx context.Context) (volume.RawDisk, error) {
		disk, err := parent.Open(ctx)
		return &damagedDisk{RawDisk: disk, damage: damage}, err
	}}
}

// changed has other bytes at an offset.
func changed(parent *volume.Parent, at int64, content []byte) *volume.Parent {
	return damaged(parent, func(p []byte, offset int64) {
		for i := range content {
			if where := at + int64(i) - offset; where >= 0 && where < int64(len(p)) {
				p[where] = content[i]
			}
		}
	})
}

// edited has a text replaced by one of the same length.
func edited(parent *volume.Parent, before, after string) *volume.Parent {
	return damaged(parent, func(p []byte, _ int64) { copy(p, bytes.ReplaceAll(p, []byte(before), []byte(after))) })
}
