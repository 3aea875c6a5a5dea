package ext4

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// sameHashes are names of which each has its hash in common with the next or the one before, as long as a name can be
// so that few fit a block. The pairs were found among half a million names.
func sameHashes() []string {
	var names []string
	for _, i := range []int{
		51832, 82100, 52063, 82840, 25973, 86244, 84584, 118926, 55803, 149532, 94841, 151176, 64721, 171444,
		97029, 186582, 146236, 191749, 127555, 194989, 18252, 199759, 183775, 211408, 3752, 215669, 80588, 220614,
	} {
		names = append(names, fmt.Sprintf("%06d%s", i, strings.Repeat("n", maxNameLength-6)))
	}
	return names
}

// indexedDirectories are of all sizes at which an index changes its form.
var indexedDirectories = map[string]struct {
	reason string
	names  func() []string
	// levels are those of the index without its root, -1 for no index.
	levels int
}{
	"full block": {
		reason: "the last that needs no index",
		names:  func() []string { return numbered("%04d", (BlockSize-dotsLength)/12) },
		levels: -1,
	},
	"one entry more": {
		reason: "an index with a single block of names",
		names:  func() []string { return numbered("%04d", (BlockSize-dotsLength)/12+1) },
	},
	"many": {
		reason: "the number of entries that a directory is asked to have",
		names:  func() []string { return numbered("entry-%d", 100_000) },
	},
	"full root": {
		reason: "the last that needs one level",
		names:  func() []string { return longNames(entriesInRoot) },
	},
	"two levels": {
		reason: "the first that needs two levels",
		names:  func() []string { return longNames(entriesInRoot + 1) },
		levels: 1,
	},
	"several nodes": {
		reason: "the second level has more than one node",
		names:  func() []string { return longNames(2*entriesInNode + 3) },
		levels: 1,
	},
	"same hashes": {
		reason: "names of one hash are in two blocks",
		names:  sameHashes,
	},
	"bytes above 127": {
		reason: "names are hashed as signed characters",
		names: func() []string {
			var names []string
			for i := range 2000 {
				names = append(names, fmt.Sprintf("\xff%c\x80%d\xc3\xbc", rune(0xE4+i%200), i))
			}
			return names
		},
	},
}

func numbered(format string, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf(format, i)
	}
	return names
}

func direntsOf(names []string) []dirent {
	dirents := make([]dirent, len(names))
	for i := range names {
		dirents[i].name = names[i]
	}
	return dirents
}

// longNames fill so many blocks.
func longNames(blocks int) []string {
	const perBlock = BlockSize / (direntHeader + (maxNameLength+3)&^3)
	return numbered("%0255d", perBlock*blocks)
}

func indexedLayer() *layer {
	l := newLayer()
	for directory, c := range indexedDirectories {
		for _, name := range c.names() {
			l.add(directory+"/"+name, &tree.Node{Mode: tree.TypeFIFO | 0o600, Mtime: tree.NewTime(modified), Atime: tree.NewTime(modified), Links: 1})
		}
	}
	return l
}

// TestIndexedDirectories has e2fsck recompute every hash, and debugfs read every index.
func TestIndexedDirectories(t *testing.T) {
	l := indexedLayer()
	regions := []packed{{layers: []*layer{l}}}
	b := build(t, options(4<<30), regions, nil)
	checkContent(t, b, regions)
	disk := checkFilesystem(t, b.disk)
	for directory, c := range indexedDirectories {
		t.Run(directory, func(t *testing.T) {
			t.Log(c.reason)
			output := run(t, "debugfs", "-R", fmt.Sprintf("htree_dump \"/var/snapshots/0-0/%s\"", directory), disk)
			if c.levels < 0 {
				if !strings.Contains(output, "Not a hash-indexed directory") {
					t.Errorf("there is an index:\n%.1000s", output)
				}
				return
			}
			for _, want := range []string{"Hash Version: 1\n", fmt.Sprintf("Indirect levels: %d\n", c.levels)} {
				if !strings.Contains(output, want) {
					t.Errorf("debugfs does not say %q:\n%.1000s", want, output)
				}
			}
		})
	}
}

// TestSameHashesMeetAtTheEndOfABlock makes sure that the case of that name has what it is for.
func TestSameHashesMeetAtTheEndOfABlock(t *testing.T) {
	seed := hashSeed(options(0).HashSeed)
	x, err := newIndex(direntsOf(sameHashes()), seed)
	if err != nil {
		t.Fatal(err)
	}
	for leaf := range x.leaves {
		if x.firstHash(leaf)&sameHash != 0 {
			return
		}
	}
	t.Errorf("no hash of %d names is on both sides of the end of a block", len(x.names))
}

// TestHashesAsDebugfsComputesThem compares with another implementation, for all lengths and without a seed.
func TestHashesAsDebugfsComputesThem(t *testing.T) {
	for _, seed := range []hashSeed{{}, options(0).HashSeed} {
		o := options(minimumSize)
		o.HashSeed = seed
		disk := build(t, o, nil, nil).disk.save(t)
		var commands strings.Builder
		var names []string
		for length := 1; length <= maxNameLength; length += 1 + length/16 {
			names = append(names, strings.Repeat("\xe4n", length)[:length])
			fmt.Fprintf(&commands, "dx_hash -h half_md4 -s %x-%x-%x-%x-%x %s\n", seed[:4], seed[4:6], seed[6:8], seed[8:10], seed[10:], names[len(names)-1])
		}
		script := disk + ".debugfs"
		if err := os.WriteFile(script, []byte(commands.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		output := run(t, "debugfs", "-f", script, disk)
		for _, name := range names {
			if want := fmt.Sprintf("Hash of %s is 0x%x (minor", name, seed.hash(name)); !strings.Contains(output, want) {
				t.Errorf("debugfs does not say %q", want)
			}
		}
	}
}

func TestDirectoryLargerThanAnIndex(t *testing.T) {
	const perBlock = BlockSize / (direntHeader + (maxNameLength+3)&^3)
	names := slices.Repeat([]dirent{{name: strings.Repeat("n", maxNameLength)}}, perBlock*maxLeaves+1)
	if _, err := packLeaves(names[1:]); err != nil {
		t.Error(err)
	}
	if _, err := packLeaves(names); err == nil || !strings.Contains(err.Error(), "259589 blocks") {
		t.Error(err)
	}
}
