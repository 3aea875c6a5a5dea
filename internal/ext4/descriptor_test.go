package ext4

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// lastFree is the last run of free inodes that dumpe2fs lists of a group: "Free inodes: 12, 14-8192".
var lastFree = regexp.MustCompile(`(?m)^  Free inodes: (?:.*, )?(\d+)-(\d+)$`)

// TestGroupDescriptorsAsDumpe2fsReadsThem compares each group's descriptor with its checksum as dumpe2fs computes it,
// and with its inode bitmap.
func TestGroupDescriptorsAsDumpe2fsReadsThem(t *testing.T) {
	b := build(t, options(5<<30), manyRegions(), nil)
	_, output, _ := strings.Cut(run(t, "dumpe2fs", b.disk.save(t)), "\nGroup ")
	groups := strings.Split(output, "\nGroup ")
	if len(groups) != 40 {
		t.Fatalf("dumpe2fs lists %d groups", len(groups))
	}
	partlyUsed := 0
	for i, group := range groups {
		head, _, _ := strings.Cut(group, "\n")
		if !regexp.MustCompile(`^\d+: \(Blocks \d+-\d+\) csum 0x[0-9a-f]{4} \[ITABLE_ZEROED\]$`).MatchString(head) {
			t.Errorf("the flags are others, or dumpe2fs expects another checksum: %s", head)
		}
		unused := 0
		if free := lastFree.FindStringSubmatch(group); free != nil && free[2] == strconv.Itoa((i+1)*inodesPerGroup) {
			first, err := strconv.Atoi(free[1])
			if err != nil {
				t.Fatal(err)
			}
			unused = (i+1)*inodesPerGroup + 1 - first
		}
		if unused%inodesPerGroup != 0 {
			partlyUsed++
		}
		if want := fmt.Sprintf(", %d unused inodes\n", unused); unused > 0 && !strings.Contains(group, want) {
			t.Errorf("not %q in group %s", want, group)
		}
	}
	if partlyUsed < 2 {
		t.Errorf("%d groups have inodes and an unused end, too few to compare", partlyUsed)
	}
}

func TestBackupsHaveThePrimaryDescriptors(t *testing.T) {
	b := build(t, options(5<<30), manyRegions(), nil)
	g, err := newGeometry(b.disk.size)
	if err != nil {
		t.Fatal(err)
	}
	read := func(group uint32) []byte {
		content := make([]byte, g.descriptorBlocks()*BlockSize)
		if _, err := b.disk.ReadAt(content, (int64(group)*blocksPerGroup+1)*BlockSize); err != nil {
			t.Fatal(err)
		}
		return content
	}
	primary := read(0)
	for _, group := range []uint32{1, 3, 5, 7, 9, 25, 27} {
		if !bytes.Equal(read(group), primary) {
			t.Errorf("the descriptors in group %d are others", group)
		}
	}
}
