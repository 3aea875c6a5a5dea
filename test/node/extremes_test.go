//go:build node

package node_test

import (
	"archive/tar"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/larder-dev/larder/test/registry"
)

const (
	// longestName in bytes is Linux's NAME_MAX.
	longestName = 255
	// longestTarget of a symbolic link in bytes is Linux's PATH_MAX without its NUL, and one block of ext4 too.
	longestTarget = 4095
	// longPath in bytes leaves, of the same PATH_MAX, as much as the path to a snapshot's directory takes in these tests.
	longPath = 3840
	// blockXattrs in bytes is what fits in the one block that ext4 has for attributes, beside its own records.
	blockXattrs = 4000
)

// extremeImage goes up to what Linux and ext4 can hold.
func extremeImage(probe registry.Layer) registry.Image {
	return registry.Image{
		Platform:   platform,
		Entrypoint: []string{"/probe", "print", "/" + deepPath(200) + "/file"},
		Layers:     []registry.Layer{probe, extremes(), aboveExtremes()},
	}
}

// deepPath returns a path of longPath bytes whose components have the given length.
func deepPath(component int) string {
	count := longPath / (component + 1)
	return strings.TrimSuffix(strings.Repeat(strings.Repeat("d", component)+"/", count), "/")
}

func extremes() registry.Layer {
	entries := []registry.Entry{
		{Name: "names/not UTF-8 \xff\xfe\x80", Content: []byte("bytes\n")},
		{Name: "names/link", Type: tar.TypeLink, Link: "names/not UTF-8 \xff\xfe\x80"},
		{Name: "names/to", Type: tar.TypeSymlink, Link: "not UTF-8 \xff\xfe\x80"},
		{Name: "names/control \x01\t\\\"'*", Content: []byte("characters\n")},
		{Name: "names/" + strings.Repeat("名", longestName/3)},
		{Name: "names/" + strings.Repeat("w", longestName)},
		{Name: "names/" + strings.Repeat("d", longestName) + "/"},
		{Name: "names/longest-target", Type: tar.TypeSymlink, Link: strings.Repeat("/target", longestTarget/7)},
		{Name: "names/60-byte-target", Type: tar.TypeSymlink, Link: strings.Repeat("t", 60)},
		{Name: "names/59-byte-target", Type: tar.TypeSymlink, Link: strings.Repeat("t", 59)},
		{Name: deepPath(200) + "/file", Content: []byte("far down\n")},
		{Name: deepPath(20) + "/f", Content: []byte("in many directories\n")},
		{Name: "xattrs/one", Xattrs: map[string]string{"user.large": strings.Repeat("v", blockXattrs)}},
		{Name: "xattrs/directory/", Xattrs: map[string]string{"user.large": strings.Repeat("w", blockXattrs)}},
		{Name: "xattrs/many", Xattrs: manyXattrs()},
		{Name: "xattrs/name", Xattrs: map[string]string{"user." + strings.Repeat("n", longestName-len("user.")): "of a long name"}},
		{Name: "modes/every-bit", Mode: 0o7777},
		{Name: "modes/every-bit-of-a-directory/", Mode: 0o7777},
		{Name: "modes/sticky-file", Mode: 0o1644},
		{Name: "modes/setgid-only", Mode: 0o2000},
	}
	for i, id := range []int{1<<16 - 1, 1 << 16, math.MaxInt32, math.MaxUint32 - 1} {
		entries = append(entries,
			registry.Entry{Name: fmt.Sprintf("owners/%d", id), UID: id, GID: id - i},
			registry.Entry{Name: fmt.Sprintf("owners/%d-link", id), Type: tar.TypeSymlink, Link: "x", UID: id, GID: id})
	}
	for _, at := range []time.Time{
		time.Unix(-1, 999_999_999), time.Unix(0, 1), time.Unix(math.MaxInt32, 999_999_999), time.Unix(1<<31, 1),
		time.Unix(1<<32-1, 5), time.Unix(1<<32, 7), time.Unix(0, math.MaxInt64), time.Unix(0, math.MaxInt64).Add(1),
		time.Date(2446, 5, 11, 0, 0, 0, 0, time.UTC), time.Date(1850, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		name := fmt.Sprintf("times/%d.%09d", at.Unix(), at.Nanosecond())
		entries = append(entries, registry.Entry{Name: name, ModTime: at},
			registry.Entry{Name: name + "-directory/", ModTime: at},
			registry.Entry{Name: name + "-link", Type: tar.TypeSymlink, Link: "x", ModTime: at})
	}
	return registry.Layer{Entries: entries}
}

// manyXattrs fill the attributes' block as well as the inode.
func manyXattrs() map[string]string {
	attributes := map[string]string{}
	for i := range 40 {
		attributes[fmt.Sprintf("user.number-%02d", i)] = strings.Repeat(string(rune('a'+i%26)), 2*i)
	}
	return attributes
}

// aboveExtremes changes what is at the end of long names, whose parents are the lower layer's.
func aboveExtremes() registry.Layer {
	return registry.Layer{Compression: registry.MultiGzip, Entries: []registry.Entry{
		{Name: deepPath(200) + "/above", Content: []byte("beside the file far down\n")},
		registry.Whiteout(deepPath(20) + "/f"),
		registry.Whiteout("names/" + strings.Repeat("w", longestName)),
		registry.Whiteout("names/not UTF-8 \xff\xfe\x80"),
		{Name: "names/" + strings.Repeat("d", longestName) + "/"},
		registry.Opaque("names/" + strings.Repeat("d", longestName)),
	}}
}
