//go:build node

package node_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// sparseImage has a layer in each form of PAX in which tars leave holes out, written by GNU tar, which invented them.
// GNU's own older form is not among them: every containerd refuses its entries ("unhandled tar header type 83").
func sparseImage(t *testing.T, probe registry.Layer) registry.Image {
	t.Helper()
	directory := t.TempDir()
	makeSparseFiles(t, directory)
	layers := []registry.Layer{probe}
	for _, version := range []string{"0.0", "0.1", "1.0"} {
		layers = append(layers, registry.Layer{Tar: sparseTar(t, directory, paxForm(version)...)})
	}
	return registry.Image{Platform: platform, Entrypoint: []string{"/probe", "print", "/hole-and-data"}, Layers: layers}
}

// paxForm leaves out the files' other times, which differ every time.
func paxForm(version string) []string {
	return []string{"--format=posix", "--sparse-version=" + version, "--pax-option=delete=atime,delete=ctime"}
}

func makeSparseFiles(t *testing.T, directory string) {
	t.Helper()
	const size = 1 << 20
	for name, pieces := range map[string]map[int64][]byte{
		"hole-and-data": {size - 5: []byte("data\n")},
		"data-and-hole": {0: []byte("data\n")},
		"only-a-hole":   {},
		"hole-between":  {0: pattern(4096), size - 4096: pattern(4096)},
		"many-pieces":   manyPieces(size),
	} {
		file, err := os.Create(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		for offset, piece := range pieces {
			if _, err := file.WriteAt(piece, offset); err != nil {
				t.Fatal(err)
			}
		}
		if err := file.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// manyPieces are more than a header and its first extension have room for: 4 and 21.
func manyPieces(size int64) map[int64][]byte {
	pieces := map[int64][]byte{}
	for offset := int64(8 << 10); offset < size; offset += 24 << 10 {
		pieces[offset] = pattern(4096)
	}
	return pieces
}

func sparseTar(t *testing.T, directory string, form ...string) []byte {
	t.Helper()
	arguments := append([]string{
		"--create", "--sparse", "--hole-detection=raw", "--sort=name", "--owner=0", "--group=0", "--mtime=@1700000000",
		"--directory", directory,
	}, append(form, ".")...)
	command := exec.CommandContext(t.Context(), "tar", arguments...)
	// tar writes its process id into names: it is 1 in a namespace of its own, and so the same every time.
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	var archive, stderr bytes.Buffer
	command.Stdout, command.Stderr = &archive, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, stderr.String())
	}
	return archive.Bytes()
}

// TestNodeGNUSparse compares a layer in GNU's own sparse form, which no containerd pulls, with one of PAX's that they
// all do: the same files come of both.
func TestNodeGNUSparse(t *testing.T) {
	directory := t.TempDir()
	makeSparseFiles(t, directory)
	server := startRegistry(t, registry.Options{})
	user := newUser(t)
	entries := func(form ...string) map[string]node.Facts {
		reference := push(t, server, "sparse:v1", registry.Image{Platform: platform, Layers: []registry.Layer{
			{Tar: sparseTar(t, directory, form...)},
		}})
		disk := node.AttachDisk(t, user.build(t, []string{reference}, platform))
		byPath := map[string]node.Facts{}
		for object, facts := range ofRootfs(node.ReadStore(t, disk.ContainerdRoot())) {
			_, path, _ := strings.Cut(object.Name, " ")
			byPath[path] = facts
		}
		return byPath
	}
	want := entries(paxForm("1.0")...)
	if len(want) < 6 {
		t.Errorf("the layer has %d entries, want its directory and five files", len(want))
	}
	if diff := cmp.Diff(want, entries("--format=gnu")); diff != "" {
		t.Errorf("(-PAX +GNU)\n%s", diff)
	}
}
