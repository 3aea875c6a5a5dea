//go:build linux

package grow

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// repartDefinition is what Bottlerocket tells systemd-repart of its data partition: the type, and the space to
// leave behind it (bottlerocket-core-kit, packages/release, release-repart-local.conf).
const repartDefinition = `[Partition]
Label=BOTTLEROCKET-DATA
Type=626f7474-6c65-6474-6861-726d61726b73
PaddingMinBytes=1028096
`

// nodePrograms are those by which a node grows a volume, where the guest looks for them.
var nodePrograms = []string{"/usr/bin/systemd-repart", "/lib/systemd/systemd-growfs"}

// WriteInitramfs writes the guest's whole userland to a file.
func WriteInitramfs(ctx context.Context, path, guest string) error {
	archive := newArchive()
	for _, directory := range []string{"dev", "local", "proc", "run", "sys", "tmp"} {
		archive.directory(directory)
	}
	archive.file("usr/lib/repart.d/80-local.conf", []byte(repartDefinition))
	files := map[string]string{"init": guest}
	for _, program := range nodePrograms {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("looking for a node's programs: %w: install the package systemd", err)
		}
		files[program] = program
		libraries, err := sharedLibraries(ctx, program)
		if err != nil {
			return err
		}
		for _, library := range libraries {
			files[library] = library
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, err := os.ReadFile(files[name])
		if err != nil {
			return fmt.Errorf("collecting the guest's files: %w", err)
		}
		archive.file(name, content)
	}
	if err := os.WriteFile(path, archive.bytes(), 0o600); err != nil {
		return fmt.Errorf("writing the guest's files: %w", err)
	}
	return nil
}

// sharedLibraries asks the dynamic linker for the absolute paths of all that a program loads, itself among them.
func sharedLibraries(ctx context.Context, program string) ([]string, error) {
	output, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("listing the libraries of %s: %w", program, err)
	}
	var libraries []string
	for line := range strings.Lines(string(output)) {
		for _, field := range strings.Fields(line) {
			if filepath.IsAbs(field) {
				libraries = append(libraries, field)
			}
		}
	}
	return libraries, nil
}

// archive is a cpio archive in the format "newc", the only one that kernels unpack
// (Documentation/driver-api/early-userspace/buffer-format.rst). The libraries for it are either years without a
// release or part of something large; what an initramfs needs of it are these few lines.
type archive struct {
	buffer bytes.Buffer
	// entries numbers the inodes; directories has those that are written.
	entries     int
	directories map[string]bool
}

func newArchive() *archive { return &archive{directories: map[string]bool{}} }

// directory adds a directory and those above it, once.
func (a *archive) directory(name string) {
	if name == "." || a.directories[name] {
		return
	}
	a.directory(path.Dir(name))
	a.directories[name] = true
	const mode = 0o040755
	a.entry(name, mode, nil)
}

// file adds a file that may be executed.
func (a *archive) file(name string, content []byte) {
	name = strings.TrimPrefix(name, "/")
	a.directory(path.Dir(name))
	const mode = 0o100755
	a.entry(name, mode, content)
}

func (a *archive) bytes() []byte {
	a.entry("TRAILER!!!", 0, nil)
	return a.buffer.Bytes()
}

func (a *archive) entry(name string, mode uint32, content []byte) {
	a.entries++
	const owner, group, links, modified, device, checksum = 0, 0, 1, 0, 0, 0
	a.buffer.WriteString("070701")
	for _, field := range []uint32{
		uint32(a.entries), mode, owner, group, links, modified, uint32(len(content)),
		device, device, device, device, uint32(len(name) + 1), checksum,
	} {
		fmt.Fprintf(&a.buffer, "%08X", field)
	}
	a.buffer.WriteString(name + "\x00")
	a.align()
	a.buffer.Write(content)
	a.align()
}

func (a *archive) align() {
	const alignment = 4
	a.buffer.Write(make([]byte, (alignment-a.buffer.Len()%alignment)%alignment))
}
