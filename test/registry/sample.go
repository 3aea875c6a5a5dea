package registry

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Sample is an image for tests and the demo, and the "repository:tag" to push it under.
type Sample struct {
	Name     string
	Artifact Artifact
}

// Samples are realistic multi-layer images with the content that unpackers get wrong: an OCI index for
// linux/amd64 and linux/arm64 in all compressions, and a single image of Docker's schema 2.
func Samples() []Sample {
	return []Sample{
		{Name: "samples/service:1.4.2", Artifact: Index{Entries: []Artifact{
			service("linux/amd64", 1),
			service("linux/arm64", 2),
		}}},
		{Name: "samples/tools:2026.1", Artifact: tools()},
	}
}

// Runnable is an image that runs one static binary for linux/amd64 as its entrypoint, with arguments.
func Runnable(binary []byte, arguments ...string) Image {
	return Image{
		Layers: []Layer{
			{Entries: base()},
			{Entries: []Entry{
				{Name: "opt/app/"},
				{Name: "opt/app/run", Mode: 0o755, Content: binary},
			}, Compression: Zstd},
		},
		Entrypoint: append([]string{"/opt/app/run"}, arguments...),
		Env:        []string{"PATH=/usr/bin:/bin"},
	}
}

// base is what the bottom layer of all samples begins with.
func base() []Entry {
	return []Entry{
		{Name: "./"},
		{Name: "bin", Type: tar.TypeSymlink, Link: "usr/bin", Mode: 0o777},
		{Name: "etc/"},
		{Name: "etc/passwd", Content: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")},
		{Name: "etc/group", Content: []byte("root:x:0:\nnogroup:x:65534:\n")},
		{Name: "etc/shadow", Mode: 0o640, GID: 42, Content: []byte("root:*:19000:0:99999:7:::\n")},
		{Name: "root/", Mode: 0o700},
		{Name: "tmp/", Mode: 0o1777},
		{Name: "usr/"},
		{Name: "usr/bin/"},
		{Name: "var/"},
		{Name: "var/log/", Mode: 0o2775, GID: 4},
	}
}

// service is a typical application image: a base, libraries in many small files, large data, and layers that
// take back what earlier ones brought.
func service(platform string, seed uint64) Image {
	return Image{
		Platform:   platform,
		Entrypoint: []string{"/usr/bin/service"},
		Env:        []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"},
		User:       "1000:1000",
		Layers: []Layer{
			{Entries: append(base(),
				Entry{Name: "usr/bin/service", Mode: 0o4755, Content: noise(seed, 900_000), Xattrs: map[string]string{
					// CAP_NET_BIND_SERVICE, permitted and effective, as setcap writes it (VFS_CAP_REVISION_2).
					"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
				}},
				Entry{Name: "usr/bin/service-alias", Type: tar.TypeLink, Link: "usr/bin/service"},
				Entry{Name: "dev/"},
				Entry{Name: "dev/null", Type: tar.TypeChar, Mode: 0o666, Major: 1, Minor: 3},
				Entry{Name: "dev/loop0", Type: tar.TypeBlock, Mode: 0o660, Major: 7, GID: 6},
				Entry{Name: "run/"},
				Entry{Name: "run/pipe", Type: tar.TypeFifo, Mode: 0o600},
			)},
			{Entries: smallFiles("usr/lib/modules", 600), Compression: Zstd},
			{Entries: append(noisyNames(),
				Entry{Name: "var/lib/model/weights.bin", Content: noise(seed+10, 6<<20), UID: 1000, GID: 1000},
				Entry{Name: "var/lib/model/sparse.bin", Content: make([]byte, 1<<20)},
				Entry{Name: "var/lib/model/empty"},
			), Compression: MultiGzip},
			{Entries: []Entry{
				Whiteout("usr/lib/modules/003"),
				Whiteout("usr/lib/modules/004/file-2.txt"),
				Whiteout("usr/lib/modules/never-was"),
				{Name: "usr/lib/modules/005/"},
				Opaque("usr/lib/modules/005"),
				{Name: "usr/lib/modules/005/only.txt", Content: []byte("all that is left of 005\n")},
				{Name: "usr/lib/modules/006", Content: []byte("a file where a directory was\n")},
				{Name: "var/lib/model/empty/", Mode: 0o750, UID: 1000},
				{Name: "var/lib/model/empty/now-a-directory", Content: []byte("a directory where a file was\n")},
			}, Compression: Uncompressed},
			{Entries: []Entry{
				// Neither directory is named: both come from the layers below, with their owners and modes.
				{Name: "var/log/service/today.log", UID: 1000, GID: 4, Content: []byte("started\n")},
				{Name: "etc/shadow", Mode: 0o600, Content: []byte("root:!:20000:0:99999:7:::\n")},
			}},
		},
	}
}

// tools is a single image without an index.
func tools() Image {
	return Image{
		Docker:     true,
		Entrypoint: []string{"/usr/bin/tool"},
		Layers: []Layer{
			{Entries: base()},
			{Entries: append(smallFiles("usr/share/tools", 200),
				Entry{Name: "usr/bin/tool", Mode: 0o755, Content: noise(100, 2<<20)},
				Entry{Name: "usr/bin/tool-2", Type: tar.TypeLink, Link: "usr/bin/tool"},
				Entry{Name: "usr/bin/tool-latest", Type: tar.TypeSymlink, Mode: 0o777, Link: "tool-2"},
				Entry{Name: "usr/share/dangling", Type: tar.TypeSymlink, Mode: 0o777, Link: "../nowhere/" + strings.Repeat("long/", 30)},
			)},
			{Entries: []Entry{
				{Name: "usr/share/tools/"},
				Opaque("usr/share/tools"),
				{Name: "usr/share/tools/back.txt", Content: []byte("all that is left of the tools\n")},
				Whiteout("etc/group"),
			}},
		},
	}
}

// noisyNames are entries whose headers need PAX or exceed what old tars can hold.
func noisyNames() []Entry {
	return []Entry{
		{Name: "var/lib/"},
		{Name: "var/lib/model/", UID: 1000, GID: 1000},
		{Name: "var/lib/model/" + strings.Repeat("n", 255), Content: []byte("the longest name\n")},
		{Name: "var/lib/model/" + strings.Repeat("deep/", 60) + "leaf", Content: []byte("a path of more than 255 bytes\n")},
		{Name: "var/lib/model/größe 目录.txt", Content: []byte("not ASCII\n")},
		{Name: "var/lib/model/owner.txt", UID: 4_000_000_000, GID: 3_000_000_000, Content: []byte("large owners\n")},
		{Name: "var/lib/model/old.txt", ModTime: time.Date(1969, time.July, 20, 20, 17, 40, 0, time.UTC), Content: []byte("before 1970\n")},
		{Name: "var/lib/model/precise.txt", ModTime: time.Unix(1_700_000_000, 123_456_789).UTC(), Content: []byte("nanoseconds\n")},
		{Name: "var/lib/model/labelled.txt", Content: []byte("extended attributes\n"), Xattrs: map[string]string{
			"user.origin": "registry",
			"user.binary": "\x00\x01\xff",
		}},
	}
}

// smallFiles makes directories of ten files each.
func smallFiles(directory string, count int) []Entry {
	entries := []Entry{{Name: directory + "/"}}
	for number := range count {
		subdirectory := fmt.Sprintf("%s/%03d/", directory, number/10)
		if number%10 == 0 {
			entries = append(entries, Entry{Name: subdirectory})
		}
		entries = append(entries, Entry{
			Name:    fmt.Sprintf("%sfile-%d.txt", subdirectory, number%10),
			Content: []byte(strings.Repeat(fmt.Sprintf("line of file %d\n", number), 1+number%50)),
		})
	}
	return entries
}

// noise is data that does not compress, the same for the same seed.
func noise(seed uint64, bytes int) []byte {
	key := [32]byte{}
	key[0], key[1] = byte(seed), byte(seed>>8)
	content := make([]byte, bytes)
	// ChaCha8's Read never fails.
	_, _ = rand.NewChaCha8(key).Read(content)
	return content
}
