package ext4

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// instructions are bytes that say what to put into trees; zeros follow when they are used up.
type instructions []byte

func (in *instructions) next() int {
	if len(*in) == 0 {
		return 0
	}
	b := (*in)[0]
	*in = (*in)[1:]
	return int(b)
}

// number has the bits of several bytes.
func (in *instructions) number(bytes int) (n int64) {
	for range bytes {
		n = n<<8 | int64(in.next())
	}
	return n
}

// name is one that a directory can have, and does not have already.
func (in *instructions) name(dir *tree.Node) string {
	length := 1 + in.next()%maxNameLength
	b := slices.Repeat([]byte{byte(in.next())}, length)
	for i := range min(3, length) {
		b[i] = byte(in.next())
	}
	name := strings.NewReplacer("/", "s", "\x00", "z").Replace(string(b))
	for i := 0; name == "." || name == ".." || dir.Children[name] != nil; i++ {
		name = fmt.Sprint("name", len(dir.Children), "-", i)
	}
	return name
}

// growingLayer is a layer that instructions add to.
type growingLayer struct {
	*layer
	directories []*tree.Node
	linkable    []*tree.Node
	last        *tree.Node
}

func newGrowingLayer() *growingLayer {
	l := newLayer()
	return &growingLayer{layer: l, directories: []*tree.Node{l.root}, last: l.root}
}

func (l *growingLayer) put(in *instructions, n *tree.Node) *tree.Node {
	dir := l.directories[in.next()%len(l.directories)]
	dir.Children[in.name(dir)] = n
	l.last = n
	if n.IsDirectory() {
		l.directories = append(l.directories, n)
	} else {
		n.Links = 1
		n.Mtime, n.Atime = tree.NewTime(modified), tree.NewTime(modified)
		l.linkable = append(l.linkable, n)
	}
	return n
}

func (l *growingLayer) putFile(in *instructions, size int64) {
	n := l.put(in, &tree.Node{Mode: tree.TypeRegular | 0o644, Size: size})
	l.files = append(l.files, &source{node: n, seed: uint64(len(l.files)) * 7919})
}

// follow carries out one instruction.
func (l *growingLayer) follow(in *instructions) {
	switch in.next() % 10 {
	case 0:
		l.put(in, tree.NewDirectory(uint32(in.number(2)&0o7777), modified))
	case 1:
		l.putFile(in, in.number(2))
	case 2:
		l.putFile(in, in.number(3)&(4<<20-1))
	case 3:
		l.put(in, &tree.Node{Mode: tree.TypeSymlink | 0o777, Special: &tree.Special{Target: strings.Repeat("t", 1+int(in.number(2))%(BlockSize-1))}})
	case 4:
		if len(l.linkable) > 0 {
			n := l.linkable[in.next()%len(l.linkable)]
			dir := l.directories[in.next()%len(l.directories)]
			dir.Children[in.name(dir)] = n
			n.Links++
		}
	case 5:
		kind := []uint32{tree.TypeFIFO, tree.TypeCharDev, tree.TypeBlockDev}[in.next()%3]
		n := l.put(in, &tree.Node{Mode: kind | 0o600})
		if kind != tree.TypeFIFO {
			n.SetDevice(uint32(in.number(2)&(1<<12-1)), uint32(in.number(3)&(1<<20-1)))
		}
	case 6:
		if l.last.Xattrs == nil {
			l.last.Xattrs = map[string]string{}
		}
		// Four attributes of these lengths fit an inode and a block.
		prefix := []string{"user.", "trusted.", "security.", "trusted.overlay."}[in.next()%4]
		l.last.Xattrs[prefix+strings.Repeat("n", 1+in.next()%64)] = strings.Repeat("v", in.next()*3)
		if len(l.last.Xattrs) == 4 {
			l.last = tree.NewDirectory(0, modified)
		}
	case 7:
		l.last.UID, l.last.GID = uint32(in.number(4)), uint32(in.number(4))
		l.last.Mtime = tree.NewTime(time.Unix(in.number(4)-1<<31, in.number(4)%1e9))
	case 8:
		l.putMany(in)
	case 9:
		l.forgetFile(in)
	}
}

// putMany fills a directory with names of one length.
func (l *growingLayer) putMany(in *instructions) {
	dir := l.put(in, tree.NewDirectory(0o755, modified))
	count, length := in.number(2)%2048, in.next()
	for i := range count {
		name := fmt.Sprintf("%0*d", length%(maxNameLength-4)+4, i)
		dir.Children[name] = &tree.Node{Mode: tree.TypeFIFO | 0o600, Mtime: tree.NewTime(modified), Atime: tree.NewTime(modified), Links: 1}
	}
}

// forgetFile removes one name of a file that is stored all the same.
func (l *growingLayer) forgetFile(in *instructions) {
	dir := l.directories[in.next()%len(l.directories)]
	for _, name := range dir.Names() {
		if n := dir.Children[name]; !n.IsDirectory() {
			n.Links--
			if n.Links == 0 {
				l.linkable = slices.DeleteFunc(l.linkable, func(other *tree.Node) bool { return other == n })
			}
			delete(dir.Children, name)
			return
		}
	}
}

// FuzzWriter writes what its input says: e2fsck has to find nothing, and the Reader everything.
func FuzzWriter(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x02\x00\x10\x41\x41\x41\x41\x3f\xff\xff\x01\x00\x20\x42\x42\x42\x42\x10\x00"))
	f.Add([]byte("\x08\x00\x04\x64\x64\x64\x64\x07\xff\xff\x06\x00\x10\xff\x0a\x00\x08\x00\x03\x65\x65\x65\x65\x04\x00\x10"))
	f.Fuzz(func(t *testing.T, input []byte) {
		in := instructions(input)
		regions := []packed{{}}
		l := newGrowingLayer()
		for range 100 {
			if len(in) == 0 {
				break
			}
			if what := in[0] % 16; what >= 14 {
				last := &regions[len(regions)-1]
				last.layers = append(last.layers, l.layer)
				l = newGrowingLayer()
				if what == 15 {
					in = in[1:]
					regions = append(regions, packed{reserve: int64(in.next()) << 14})
					continue
				}
			}
			l.follow(&in)
		}
		last := &regions[len(regions)-1]
		last.layers = append(last.layers, l.layer)
		b := build(t, options(minimumSize), regions, nil)
		checkContent(t, b, regions)
		checkFilesystem(t, b.disk)
	})
}
