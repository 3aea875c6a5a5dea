package ext4

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// sameHashes returns names of which each has its hash in common with another one, as long as a name can be so
// that few fit a block.
func sameHashes(seed hashSeed) []string {
	var names []string
	byHash := map[uint32]string{}
	for i := range 500_000 {
		name := fmt.Sprintf("%06d%s", i, strings.Repeat("n", maxNameLength-6))
		hash := seed.hash(name)
		if other, same := byHash[hash]; same {
			names = append(names, other, name)
		}
		byHash[hash] = name
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// indexedDirectories are of all sizes at which an index changes its form.
var indexedDirectories = map[string]struct {
	reason string
	names  func(seed hashSeed) []string
	// levels are those of the index without its root, -1 for no index.
	levels int
}{
	"full block": {
		reason: "the last that needs no index",
		names:  func(hashSeed) []string { return numbered("%04d", (BlockSize-dotsLength)/12) },
		levels: -1,
	},
	"one entry more": {
		reason: "an index with a single block of names",
		names:  func(hashSeed) []string { return numbered("%04d", (BlockSize-dotsLength)/12+1) },
	},
	"many": {
		reason: "the number of entries that a directory is asked to have",
		names:  func(hashSeed) []string { return numbered("entry-%d", 100_000) },
	},
	"full root": {
		reason: "the last that needs one level",
		names:  func(hashSeed) []string { return longNames(entriesInRoot) },
	},
	"two levels": {
		reason: "the first that needs two levels",
		names:  func(hashSeed) []string { return longNames(entriesInRoot + 1) },
		levels: 1,
	},
	"several nodes": {
		reason: "the second level has more than one node",
		names:  func(hashSeed) []string { return longNames(2*entriesInNode + 3) },
		levels: 1,
	},
	"same hashes": {
		reason: "names of one hash are in two blocks",
		names:  sameHashes,
	},
	"bytes above 127": {
		reason: "names are hashed as signed characters",
		names: func(hashSeed) []string {
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
		for _, name := range c.names(options(0).HashSeed) {
			l.add(directory+"/"+name, &tree.Node{Mode: tree.TypeFIFO | 0o600, Mtime: modified, Atime: modified, Links: 1})
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
	checkFilesystem(t, b.disk)
	disk := b.disk.save(t)
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
	x, err := newIndex(direntsOf(sameHashes(seed)), seed)
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
	_, err := newIndex(slices.Repeat([]dirent{{name: strings.Repeat("n", maxNameLength)}}, perBlock*maxLeaves+1), hashSeed{})
	if err == nil || !strings.Contains(err.Error(), "259589 blocks") {
		t.Error(err)
	}
}
