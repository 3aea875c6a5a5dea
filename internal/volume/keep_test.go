package volume

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/image"
)

// baseOf pretends that images were built, each region as large as it was planned.
func baseOf(t *testing.T, size int64, images ...image.Image) *base {
	t.Helper()
	plan, err := newPlan(kinds[0], images, size, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	layout := &Layout{Version: layoutVersion, Format: Bottlerocket, Size: plan.Size, Lineage: plan.lineage}
	next, inode := uint32(1<<20), uint32(2049)
	for _, region := range plan.regions {
		entry := LayoutRegion{
			Blocks: []LayoutRange{{Start: next, Count: uint32(region.reserve / 4096)}},
			Inodes: []LayoutRange{{Start: inode, Count: 2048}},
		}
		for _, i := range region.snapshots {
			key := plan.key(i)
			entry.Layers = append(entry.Layers, LayoutLayer{
				Blob: key.blob, DiffID: key.diffID, Bottom: key.bottom,
				Chain: plan.contents.Snapshots[i].ChainID, Root: inode + uint32(i), Snapshot: uint64(i + 1),
			})
		}
		layout.Regions = append(layout.Regions, entry)
		next += entry.Blocks[0].Count
		inode += 2048
	}
	return &base{layout: layout}
}

func TestPlanKeepsLayers(t *testing.T) {
	cases := map[string]struct {
		reason string
		next   []image.Image
		// kept has one letter for each layer: s for sure, u for unsure, n for new.
		kept string
	}{
		"the same":                  {"nothing changed", []image.Image{testImage("app", mib, 2*mib, 3*mib)}, "sss"},
		"another top":               {"the layers below are the same", []image.Image{testImage("app", mib, 2*mib, 4*mib)}, "ssn"},
		"inserted in the middle":    {"what is above may inherit from the new layer", []image.Image{testImage("app", mib, 9*mib, 2*mib, 3*mib)}, "snuu"},
		"removed from the middle":   {"what is above may have inherited from the layer that is gone", []image.Image{testImage("app", mib, 3*mib)}, "su"},
		"the bottom is another's":   {"a bottom layer deletes where others have whiteouts", []image.Image{testImage("app", 2*mib, 3*mib)}, "nu"},
		"the same layers elsewhere": {"each snapshot needs a directory of its own", []image.Image{testImage("app", mib, 2*mib, 3*mib), testImage("two", mib, 3*mib)}, "sssn"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan, err := newPlan(kinds[0], c.next, 0, baseOf(t, 0, testImage("app", mib, 2*mib, 3*mib)), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, kept := range plan.kept {
				switch {
				case kept.sure:
					got.WriteByte('s')
				case kept.layer != nil:
					got.WriteByte('u')
				default:
					got.WriteByte('n')
				}
			}
			if diff := cmp.Diff(c.kept, got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestPlanReadsAnUnknownBlob: that a blob has a DiffID is only a claim until it was read.
func TestPlanReadsAnUnknownBlob(t *testing.T) {
	base := baseOf(t, 0, testImage("app", mib, 2*mib))
	base.layout.Regions[1].Layers[0].Blob = "sha256:another"
	plan, err := newPlan(kinds[0], []image.Image{testImage("app", mib, 2*mib)}, 0, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.LayerBytes != 2*mib {
		t.Errorf("%d bytes of layers are to be read, want the %d of the unknown blob", plan.LayerBytes, 2*mib)
	}
}

func TestPlanSizesAVolumeUponAnother(t *testing.T) {
	small := testImage("small", 100*mib)
	cases := map[string]struct {
		reason string
		base   *base
		next   []image.Image
		size   int64
		want   int64  // GiB
		refuse string // why the parent is not used
	}{
		"grows within its size":   {"there is room", baseOf(t, 0, small), []image.Image{small, testImage("more", gib)}, 0, 8, ""},
		"grows out of its size":   {"the next step has room for both", baseOf(t, 0, small), []image.Image{small, testImage("more", 3*gib)}, 0, 16, ""},
		"keeps a size that fits":  {"12 GiB were once asked for", baseOf(t, 12, small), []image.Image{small}, 0, 12, ""},
		"larger as asked":         {"a snapshot may be smaller than its child", baseOf(t, 8, small), []image.Image{small}, 20, 20, ""},
		"smaller as asked":        {"a child cannot be smaller", baseOf(t, 8, small), []image.Image{small}, 4, 0, "it has 8 GiB, and the volume shall have 4"},
		"much too large":          {"nobody asked for the size", baseOf(t, 40, small), []image.Image{small}, 0, 0, "it has 40 GiB, and these images need 8"},
		"mostly removed layers":   {"they would be stored and billed for ever", baseOf(t, 20, small, testImage("huge", 4*gib)), []image.Image{small}, 20, 0, "of removed layers beside"},
		"no room for what is new": {"what stays fills it", baseOf(t, 8, testImage("a", 2*gib)), []image.Image{testImage("a", 2*gib), testImage("b", 3*gib)}, 8, 0, "no room for what is new"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan, err := newPlan(kinds[0], c.next, c.size, c.base, nil)
			if c.refuse != "" {
				var refused *ParentError
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.refuse) {
					t.Errorf("%s: got %v, want a parent's error that says %q", c.reason, err, c.refuse)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if plan.Size != c.want*gib || plan.lineage != c.base.layout.Lineage {
				t.Errorf("%s: planned %d GiB of lineage %v, want %d of %v", c.reason, plan.Size/gib, plan.lineage, c.want, c.base.layout.Lineage)
			}
		})
	}
}
