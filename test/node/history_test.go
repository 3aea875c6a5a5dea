//go:build node

package node_test

import (
	"archive/tar"

	"github.com/larder-dev/larder/test/registry"
)

// historyImage has layers that change each other's files over and over, some of them more than once.
func historyImage(probe registry.Layer) registry.Image {
	repeated := registry.Layer{Entries: []registry.Entry{
		{Name: "repeated/", Mode: 0o750},
		{Name: "repeated/file", Content: []byte("the same in each\n")},
		registry.Whiteout("repeated/gone"),
	}}
	return registry.Image{
		Platform:   platform,
		Entrypoint: []string{"/probe", "print", "/turn", "/spin/again", "/links/first", "/links/second"},
		Layers: []registry.Layer{
			// Without any entry, and, by the end marker of a tar or by nothing at all, in no bytes either.
			probe, linked(), repeated, repeated, turned(), repeated, turnedBack(), {}, {Tar: []byte{}}, {},
		},
	}
}

// linked has hard links to names that other files take later, and symbolic links on the way to others.
func linked() registry.Layer {
	return registry.Layer{Entries: []registry.Entry{
		{Name: "turn", Content: []byte("a file at first\n")},
		{Name: "spin/"},
		{Name: "spin/inner", Content: []byte("in a directory at first\n")},
		{Name: "links/first", Content: []byte("first\n")},
		{Name: "links/second", Type: tar.TypeLink, Link: "links/first"},
		{Name: "links/first", Content: []byte("in its place\n")},
		{Name: "links/third", Type: tar.TypeLink, Link: "links/first"},
		{Name: "links/third", Type: tar.TypeLink, Link: "links/second"},
		{Name: "links/fourth", Type: tar.TypeLink, Link: "links/first"},
		// A link's own header counts for the inode that it shares.
		{Name: "links/owned", Type: tar.TypeLink, Link: "links/second", Mode: 0o4640, UID: 77, GID: 78, ModTime: registry.Epoch.Add(1)},
		{Name: "links/gone", Type: tar.TypeLink, Link: "links/second"},
		{Name: "real/dir/", Mode: 0o705},
		{Name: "chain", Type: tar.TypeSymlink, Link: "other-chain"},
		{Name: "other-chain", Type: tar.TypeSymlink, Link: "real/dir"},
		{Name: "chain/by-a-chain", Content: []byte("in real/dir\n")},
		{Name: "absolute", Type: tar.TypeSymlink, Link: "/real"},
		{Name: "absolute/dir/by-an-absolute-link", Content: []byte("in real/dir\n")},
		{Name: "climbing", Type: tar.TypeSymlink, Link: "../../../real"},
		{Name: "climbing/by-a-climbing-link", Content: []byte("in real\n")},
		{Name: "dangling", Type: tar.TypeSymlink, Link: "made/on/the/way"},
		{Name: "dangling/file", Content: []byte("below a link to nothing\n")},
		{Name: "link-to-a-link", Type: tar.TypeLink, Link: "chain"},
		{Name: "null", Type: tar.TypeChar, Mode: 0o666, Major: 1, Minor: 3},
		{Name: "null-again", Type: tar.TypeLink, Link: "null"},
		{Name: "largest-device", Type: tar.TypeBlock, Mode: 0o600, Major: 4095, Minor: 1<<20 - 1},
		{Name: "repeated/gone", Content: []byte("removed in three layers\n")},
	}}
}

// turned makes directories of files, files of directories, and both of what was removed.
func turned() registry.Layer {
	return registry.Layer{Compression: registry.EStargz, Entries: []registry.Entry{
		{Name: "turn/", Mode: 0o711, UID: 5},
		{Name: "turn/inner", Content: []byte("in a directory now\n")},
		{Name: "spin", Content: []byte("a file now\n")},
		registry.Whiteout("links/gone"),
		{Name: "links/second", Content: []byte("no link any more\n")},
		{Name: "chain/", Mode: 0o700}, // which was a symbolic link
		{Name: "chain/file", Content: []byte("below what was a link\n")},
		{Name: ".no.prefetch.landmark", Content: []byte("\x0f")},
	}}
}

// turnedBack does the opposite of turned.
func turnedBack() registry.Layer {
	return registry.Layer{Compression: registry.Zstd, Entries: []registry.Entry{
		{Name: "turn", Content: []byte("a file again\n")},
		{Name: "spin/"},
		{Name: "spin/again", Content: []byte("in a directory again\n")},
		{Name: "links/gone", Content: []byte("back\n")},
		registry.Whiteout("chain"),
		{Name: "real/"},
		registry.Opaque("real"),
		{Name: "real/dir/new", Content: []byte("in a directory that this layer also empties\n")},
		{Name: "fake-whiteout", Type: tar.TypeChar},
	}}
}
