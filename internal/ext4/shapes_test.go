package ext4

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// shape makes the content of a filesystem afresh for every build.
type shape struct {
	reason  string
	size    int64
	regions func() []packed
}

func oneLayer(reserve int64, make func(l *layer)) func() []packed {
	return func() []packed {
		l := newLayer()
		make(l)
		return []packed{{reserve: reserve, layers: []*layer{l}}}
	}
}

// wireACL is the value that getxattr returns for an access control list.
func wireACL(entries ...[3]uint32) string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return string(b)
}

const none = 0xFFFFFFFF

var (
	userACL    = wireACL([3]uint32{1, 7, none}, [3]uint32{2, 6, 1000}, [3]uint32{4, 5, none}, [3]uint32{0x10, 7, none}, [3]uint32{0x20, 4, none})
	defaultACL = wireACL([3]uint32{1, 7, none}, [3]uint32{4, 5, none}, [3]uint32{8, 5, 2000}, [3]uint32{0x10, 5, none}, [3]uint32{0x20, 0, none})
)

var shapes = map[string]shape{
	"empty": {
		reason:  "a filesystem without regions has its root, lost+found and anchor only",
		regions: func() []packed { return nil },
	},
	"empty layer": {
		reason:  "a region may have nothing but its root",
		regions: oneLayer(0, func(*layer) {}),
	},
	"file sizes": {
		reason: "the ends of blocks and chunks are where a cursor goes wrong",
		regions: oneLayer(4<<20, func(l *layer) {
			for _, size := range []int64{0, 1, 4095, 4096, 4097, ChunkSize - 1, ChunkSize, ChunkSize + 1} {
				l.file(fmt.Sprint("sizes/", size), size)
			}
		}),
	},
	"large directory": {
		reason: "a directory of 20,000 entries has hundreds of blocks and more than one chunk of inodes",
		regions: oneLayer(1<<20, func(l *layer) {
			for i := range 20_000 {
				l.file(fmt.Sprintf("dir/%s-%05d", strings.Repeat("n", i%60), i), int64(i%3))
			}
		}),
	},
	"all types": {
		reason:  "every type has its own place for what it needs",
		regions: oneLayer(1<<20, addAllTypes),
	},
	"hard links": {
		reason: "links share an inode across directories, of files and of others",
		regions: oneLayer(1<<20, func(l *layer) {
			f := l.file("z/first", 5000)
			l.link("a/second", f)
			l.link("a/third", f)
			link := l.add("a/link", &tree.Node{Mode: tree.TypeSymlink | 0o777, Special: &tree.Special{Target: "x"}, Mtime: tree.NewTime(modified), Atime: tree.NewTime(modified), Links: 1})
			l.link("b/link", link)
		}),
	},
	"attributes": {
		reason:  "attributes fill the inode, then a block, then both; lists have another form on disk",
		regions: oneLayer(1<<20, addAttributes),
	},
	"times": {
		reason: "seconds have 34 bits and nanoseconds 30",
		regions: oneLayer(0, func(l *layer) {
			for _, at := range []time.Time{
				time.Unix(-1<<31, 0), time.Unix(-1, 999_999_999), time.Unix(0, 0), time.Unix(1<<31, 5), time.Unix(1<<32, 1), time.Unix(1<<34-1<<31-1, 999_999_999),
			} {
				f := l.file(fmt.Sprint(at.Unix()), 0)
				f.Mtime, f.Atime = tree.NewTime(at), tree.NewTime(at)
			}
		}),
	},
	"names": {
		reason: "names may be long and need not be UTF-8",
		regions: oneLayer(0, func(l *layer) {
			for _, name := range []string{strings.Repeat("x", 255), "\xff\xfe", " ", "...", "line\nbreak"} {
				l.file("names/"+name, 10)
			}
		}),
	},
	"deep": {
		reason:  "a deep tree has one directory block a level",
		regions: oneLayer(0, func(l *layer) { l.file(strings.Repeat("d/", 200)+"f", 10) }),
	},
	"overflow over groups": {
		reason: "a large file beyond its reservation goes around windows, metadata and other reservations",
		size:   3 << 30,
		regions: func() []packed {
			overflowing, after := newLayer(), newLayer()
			overflowing.file("large", 60<<20+12345)
			overflowing.file("small", 10)
			after.file("in its own space", 20<<20)
			return []packed{
				{reserve: 10 << 20, layers: []*layer{overflowing}},
				{reserve: 1690 << 20, layers: []*layer{after}},
			}
		},
	},
	"packed": {
		reason: "layers of one region share chunks of blocks and of inodes",
		regions: func() []packed {
			var region packed
			region.reserve = 2 << 20
			for i := range 20 {
				l := newLayer()
				l.file("etc/passwd", int64(1000*i))
				l.file("etc/group", 10)
				region.layers = append(region.layers, l)
			}
			return []packed{region, {reserve: 0, layers: []*layer{newLayer()}}}
		},
	},
	"many regions": {
		reason:  "regions that use less and more than they reserved leave holes that others fill",
		regions: manyRegions,
	},
	"more subdirectories than links": {
		reason: "a directory's link count ends at 64,998 and then says 1",
		size:   2 << 30,
		regions: oneLayer(1<<20, func(l *layer) {
			for i := range 65_000 {
				l.add(fmt.Sprint("d/", i), tree.NewDirectory(0o755, modified))
			}
		}),
	},
}

func addAllTypes(l *layer) {
	at := func(n *tree.Node) *tree.Node {
		n.Mtime, n.Atime, n.Links = tree.NewTime(modified), tree.NewTime(modified.Add(time.Hour)), 1
		return n
	}
	l.file("regular", 10).UID = 70_000
	l.add("directory", tree.NewDirectory(0o2770, modified)).GID = 1 << 31
	l.add("fifo", at(&tree.Node{Mode: tree.TypeFIFO | 0o600}))
	l.add("whiteout", at(&tree.Node{Mode: tree.TypeCharDev}))
	l.add("null", at(&tree.Node{Mode: tree.TypeCharDev | 0o666, Special: &tree.Special{Major: 1, Minor: 3}}))
	l.add("disk", at(&tree.Node{Mode: tree.TypeBlockDev | 0o660, Special: &tree.Special{Major: 259, Minor: 70_000}}))
	l.add("largest", at(&tree.Node{Mode: tree.TypeBlockDev | 0o660, Special: &tree.Special{Major: 4095, Minor: 1<<20 - 1}}))
	l.add("minor", at(&tree.Node{Mode: tree.TypeCharDev | 0o660, Special: &tree.Special{Major: 0, Minor: 256}}))
	for _, length := range []int{1, 59, 60, 61, 4095} {
		l.add(fmt.Sprint("link", length), at(&tree.Node{Mode: tree.TypeSymlink | 0o777, Special: &tree.Special{Target: strings.Repeat("t", length)}}))
	}
	l.file("setuid", 1).Mode = tree.TypeRegular | 0o6755
}

func addAttributes(l *layer) {
	set := func(name string, attributes map[string]string) { l.file(name, 10).Xattrs = attributes }
	set("inline", map[string]string{"user.a": "b"})
	set("empty", map[string]string{"user.empty": ""})
	set("capability", map[string]string{"security.capability": "\x01\x00\x00\x02" + strings.Repeat("\x00", 16)})
	set("block", map[string]string{"user.large": strings.Repeat("v", 3900)})
	set("both", map[string]string{"user.s": "1", "user.large": strings.Repeat("v", 1001), "trusted.overlay.opaque": "y", "user.z": strings.Repeat("z", 77)})
	set("many", func() map[string]string {
		many := map[string]string{}
		for i := range 60 {
			many[fmt.Sprint("user.attribute", i)] = strings.Repeat("x", i)
		}
		return many
	}())
	set("acl", map[string]string{"system.posix_acl_access": userACL})
	directory := l.add("directory", tree.NewDirectory(0o755, modified))
	directory.Xattrs = map[string]string{"system.posix_acl_access": userACL, "system.posix_acl_default": defaultACL}
	l.add("link", &tree.Node{Mode: tree.TypeSymlink | 0o777, Special: &tree.Special{Target: strings.Repeat("t", 59)}, Mtime: tree.NewTime(modified), Atime: tree.NewTime(modified), Links: 1,
		Xattrs: map[string]string{"trusted.large": strings.Repeat("v", 500)}})
}

// manyRegions has regions of all sorts side by side.
func manyRegions() []packed {
	var regions []packed
	for i := range 12 {
		region := packed{reserve: int64(i%5) * (3 * ChunkSize)}
		for j := range 1 + i%3 {
			l := newLayer()
			l.file("large", int64(i%4)*(2*ChunkSize)+int64(j))
			for k := range 100 * (i % 3) {
				l.file(fmt.Sprintf("usr/lib/%d/%d", k%7, k), int64(k*37%9000))
			}
			region.layers = append(region.layers, l)
		}
		regions = append(regions, region)
	}
	return regions
}

func TestFilesystems(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Log(shape.reason)
			regions := shape.regions()
			b := build(t, options(max(shape.size, minimumSize)), regions, nil)
			checkContent(t, b, regions)
			checkFilesystem(t, b.disk)
		})
	}
}

func TestSizes(t *testing.T) {
	for name, size := range map[string]int64{
		"the smallest":                             1 << 30,
		"a last group of one chunk is left out":    1<<30 + ChunkSize,
		"a last group just too short is left out":  1<<30 + shortestLastGroup*BlockSize - ChunkSize,
		"the shortest last group":                  1<<30 + shortestLastGroup*BlockSize,
		"the shortest last group with a window":    9*128<<20 + shortestLastGroup*BlockSize,
		"a flex group of one short group":          2<<30 + shortestLastGroup*BlockSize,
		"a flex group of two groups":               2<<30 + 128<<20 + 64<<20,
		"whole flex groups":                        8 << 30,
		"as a partition of 20 GiB leaves":          20<<30 - 2<<20,
		"more than one block of group descriptors": 129 << 30,
	} {
		t.Run(name, func(t *testing.T) {
			regions := manyRegions()
			b := build(t, options(size), regions, nil)
			checkContent(t, b, regions)
			checkFilesystem(t, b.disk)
		})
	}
}
