//go:build node

package node_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larder-dev/larder/test/registry"
)

// platform is the machine's own: what is cached also has to run.
const platform = "linux/" + runtime.GOARCH

// images are the references of what fill pushed.
type images struct {
	// pause keeps a pod's sandbox, odd is what an awkward build makes, docker is of Docker's schema 2.
	pause, odd, docker string
	// history changes its own files, extreme goes to the limits, sparse leaves holes out of its tars, nested is in an
	// index of indexes, bare has no layers.
	history, extreme, sparse, nested, bare string
}

func (i images) all() []string {
	return []string{i.pause, i.odd, i.docker, i.history, i.extreme, i.sparse, i.nested, i.bare}
}

// startRegistry starts a registry that stops at the latest when the test ends.
func startRegistry(t *testing.T, options registry.Options) *registry.Server {
	t.Helper()
	server, err := registry.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// fill pushes the images that the tests put on volumes.
func fill(t *testing.T, server *registry.Server) images {
	t.Helper()
	probe := registry.Layer{Entries: []registry.Entry{{Name: "probe", Mode: 0o755, Content: compileProbe(t)}}}
	return images{
		pause: push(t, server, "pause:v1", registry.Image{
			Platform: platform, Layers: []registry.Layer{probe}, Entrypoint: []string{"/probe", "pause"},
		}),
		odd: push(t, server, "team/odd:v2", registry.Index{Entries: []registry.Artifact{
			registry.Image{Platform: "linux/riscv64", Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "other"}}}}},
			oddImage(probe),
		}}),
		docker: push(t, server, "docker:v3", registry.Image{
			Platform: platform, Docker: true, Entrypoint: []string{"/probe", "print", "/greeting"},
			Layers: []registry.Layer{probe, {Entries: []registry.Entry{{Name: "greeting", Content: []byte("hello\n")}}}},
		}),
		history: push(t, server, "team/history:v4", historyImage(probe)),
		extreme: push(t, server, "team/extreme:v5", extremeImage(probe)),
		sparse:  push(t, server, "team/sparse:v6", sparseImage(t, probe)),
		nested:  push(t, server, "team/nested:v7", nestedIndex(probe)),
		bare:    push(t, server, "team/bare:v8", registry.Image{Platform: platform}),
	}
}

// nestedIndex has its image two indexes down, beside what builders attach to images. That has to be in the same index:
// CRI, in every version, fails to pull an index in which another platform's image and a further index stand together.
func nestedIndex(probe registry.Layer) registry.Index {
	image := registry.Image{Platform: platform, Docker: true, Entrypoint: []string{"/probe", "print", "/nested"}, Layers: []registry.Layer{
		probe, {Entries: []registry.Entry{{Name: "nested", Content: []byte("found\n")}}},
	}}
	attestation := registry.Image{Platform: "unknown/unknown", Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "attestation"}}}}}
	return registry.Index{Entries: []registry.Artifact{
		registry.Index{Entries: []registry.Artifact{
			registry.Index{Docker: true, Entries: []registry.Artifact{attestation, image}},
		}},
	}}
}

func push(t *testing.T, server *registry.Server, name string, artifact registry.Artifact) string {
	t.Helper()
	reference, err := server.Push(t.Context(), name, artifact)
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

func compileProbe(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "probe")
	compile(t, file, "./probe")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// compile builds a static program, in the module of its directory.
func compile(t *testing.T, file, directory string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", file, ".")
	build.Dir = directory
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compiling %s: %v\n%s", directory, err, output)
	}
}

// oddImage has in it what layers, filesystems and unpackers disagree about.
func oddImage(probe registry.Layer) registry.Image {
	return registry.Image{
		Platform:   platform,
		Entrypoint: []string{"/probe", "print", "/etc/over"},
		Layers:     []registry.Layer{probe, everyKind(), aboveIt(), manyNames(), opaque(), {}},
	}
}

// acl lets user 1000 read, as the kernel writes it: version 2, then tag, permissions and id of each entry.
const acl = "\x02\x00\x00\x00" +
	"\x01\x00\x06\x00\xff\xff\xff\xff" + // the owner: rw-
	"\x02\x00\x04\x00\xe8\x03\x00\x00" + // user 1000: r--
	"\x04\x00\x04\x00\xff\xff\xff\xff" + // the group: r--
	"\x10\x00\x04\x00\xff\xff\xff\xff" + // the mask: r--
	"\x20\x00\x00\x00\xff\xff\xff\xff" // others: ---

// everyKind has each kind of file and attribute.
func everyKind() registry.Layer {
	return registry.Layer{Compression: registry.MultiGzip, Entries: []registry.Entry{
		{Name: "etc/", Mode: 0o755},
		{Name: "etc/over", Content: []byte("lower\n")},
		{Name: "etc/gone", Content: []byte("to be removed\n")},
		{Name: "tmp/", Mode: 0o1777},
		{Name: "srv/", Mode: 0o2750, UID: 100_000, GID: 70_000},
		{Name: "srv/deep/", Mode: 0o700, UID: 12, GID: 34, Xattrs: map[string]string{"user.color": "blue"}},
		{Name: "srv/deep/file", Mode: 0o600, UID: 4_000_000, GID: 4_000_001, Content: []byte("owned\n")},
		{Name: "srv/hidden/a/b", Content: []byte("below an opaque directory\n")},
		{Name: "bin/setuid", Mode: 0o4755, Content: []byte("#!/probe\n")},
		{Name: "bin/ping", Mode: 0o755, Content: []byte("ping"), Xattrs: map[string]string{
			// cap_net_raw+ep, revision 2
			"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		}},
		{Name: "bin/long-attribute", Xattrs: map[string]string{"user.long": strings.Repeat("x", 3000), "user.empty": ""}},
		{Name: "bin/link", Type: tar.TypeLink, Link: "bin/setuid"},
		{Name: "bin/another-link", Type: tar.TypeLink, Link: "bin/setuid"},
		{Name: "usr/lib/", Mode: 0o751, UID: 7, GID: 8},
		{Name: "lib", Type: tar.TypeSymlink, Link: "usr/lib"},
		{Name: "far", Type: tar.TypeSymlink, Link: "/" + strings.Repeat("long/", 40) + "target"},
		{Name: "dev/null", Type: tar.TypeChar, Mode: 0o666, Major: 1, Minor: 3},
		{Name: "dev/disk", Type: tar.TypeBlock, Mode: 0o660, Major: 259, Minor: 70_000},
		{Name: "dev/pipe", Type: tar.TypeFifo, Mode: 0o600},
		{Name: "empty"},
		{Name: "one-block", Content: bytes.Repeat([]byte{1}, 4096)},
		{Name: "zeros", Content: make([]byte, 1<<20)},
		{Name: "large", Content: pattern(3<<20 + 17)},
		{Name: "ÄÖ 名前\n", Content: []byte("a name that is not ASCII\n")},
		{Name: strings.Repeat("n", 255)},
		{Name: "lib/through-a-link", Content: []byte("in usr/lib, since the link is of this layer\n")},
		{Name: "usr/far-again", Type: tar.TypeLink, Link: "far"},
		{Name: "usr/pipe-again", Type: tar.TypeLink, Link: "dev/pipe"},
		{Name: "times/before-the-epoch", ModTime: time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Name: "times/after-32-bits", ModTime: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Name: "times/nanoseconds", ModTime: registry.Epoch.Add(123_456_789)},
		{Name: "acl/", Xattrs: map[string]string{"system.posix_acl_default": acl}},
		{Name: "acl/own", Mode: 0o640, Xattrs: map[string]string{"system.posix_acl_access": acl}},
		{Name: "acl/inherited", Mode: 0o600},
		{Name: "acl/below/inherited", Mode: 0o660},
		{Name: "labelled", Xattrs: map[string]string{"security.selinux": "system_u:object_r:from_the_tar_t:s0"}},
		{Name: "trusted", Xattrs: map[string]string{"trusted.overlay.redirect": "/etc", "trusted.example": "dropped"}},
		{Name: "acl/replaced/", Mode: 0o750, Xattrs: map[string]string{"system.posix_acl_access": acl, "system.posix_acl_default": acl}},
		{Name: "removed/file", Content: pattern(9000)},
		{Name: "removed/link", Type: tar.TypeLink, Link: "removed/file"},
		{Name: "removed", Content: []byte("a file in place of a directory with all names of another\n")},
		{Name: "replaced-by-directory", Content: []byte("file\n")},
		{Name: "replaced-by-file/inner", Content: []byte("inner\n")},
	}}
}

// aboveIt changes what is below, by names whose parents it leaves to the lower layer.
func aboveIt() registry.Layer {
	return registry.Layer{Compression: registry.Zstd, Entries: []registry.Entry{
		{Name: "etc/over", Mode: 0o640, Content: []byte("upper\n")},
		registry.Whiteout("etc/gone"),
		{Name: "srv/deep/new/file", Content: []byte("parents of the lower layer, and one of none\n")},
		{Name: "lib/in-place-of-a-link", Content: []byte("lib was a symbolic link below\n")},
		{Name: "replaced-by-directory/", Mode: 0o711},
		{Name: "replaced-by-file", Content: []byte("now a file\n")},
		{Name: "acl/from-below", Mode: 0o640}, // in a directory whose default list is the lower layer's
		{Name: "acl/replaced/implicit/file", Mode: 0o600},
		registry.Whiteout("acl/own"),
		{Name: "./dotted/./name", Content: []byte("dots\n")},
		{Name: "twice", Content: []byte("first\n")}, // its bytes were written when the second comes
		{Name: "twice", Content: []byte("second\n")},
	}}
}

// manyNames has a directory that needs more than one block of names.
func manyNames() registry.Layer {
	entries := []registry.Entry{{Name: "many/", Mode: 0o755}}
	for i := range 1500 {
		entries = append(entries, registry.Entry{Name: fmt.Sprintf("many/file-with-a-name-of-some-length-%04d", i), Content: fmt.Append(nil, i)})
	}
	return registry.Layer{Compression: registry.Uncompressed, Entries: entries}
}

func opaque() registry.Layer {
	return registry.Layer{Entries: []registry.Entry{
		{Name: "srv/hidden/", Mode: 0o755},
		registry.Opaque("srv/hidden"),
		{Name: "srv/hidden/seen", Content: []byte("above an opaque directory\n")},
	}}
}

// pattern is content that does not compress to nothing.
func pattern(size int) []byte {
	content := make([]byte, size)
	state := uint32(1)
	for i := range content {
		state = state*1664525 + 1013904223 // Numerical Recipes' generator
		content[i] = byte(state >> 24)
	}
	return content
}
