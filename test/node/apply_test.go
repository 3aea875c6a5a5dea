//go:build node

package node_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/test/node"
)

// stackSeeds is how many random stacks of layers are compared.
const stackSeeds = 300

// TestLayersAsContainerdAppliesThem unpacks random stacks of layers with containerd's code and with Larder's, and
// compares what comes out, and who refuses which layer.
func TestLayersAsContainerdAppliesThem(t *testing.T) {
	apply := containerdsUnpacker(t)
	started := time.Now().Add(-time.Second) // the kernel's clock for files is coarse
	var both, neither int
	for seed := range uint64(stackSeeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			stack := &stack{apply: apply, started: started, base: t.TempDir()}
			for range 1 + random.IntN(5) {
				if stack.compareNext(t, randomLayer(t, random)) {
					both++
				} else {
					neither++
				}
			}
		})
	}
	t.Logf("%d layers were compared, %d were refused by both", both, neither)
	if both < stackSeeds || neither == 0 {
		t.Errorf("the layers say little: %d were compared, %d were refused by both", both, neither)
	}
}

// containerdsUnpacker builds it in the module that names containerd's version.
func containerdsUnpacker(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "apply")
	compile(t, file, "../../hack/containerd/v2.4/apply")
	return file
}

// stack are the layers so far, nearest first.
type stack struct {
	apply   string
	started time.Time
	base    string
	count   int

	directories []string
	diffs       []layer.Lower
}

// compareNext puts a layer on the stack and tells whether it could be unpacked.
func (s *stack) compareNext(t *testing.T, blob []byte) bool {
	t.Helper()
	s.count++
	name := fmt.Sprint("layer", s.count)
	directory := filepath.Join(s.base, name)
	applied := s.applyNext(t, directory, blob)
	diff, content, read := s.readNext(t, blob)
	if (applied == nil) != (read == nil) && !larderTakes(applied) {
		t.Fatalf("%s: containerd says %v, Larder says %v; it was:\n%s", name, applied, read, describe(blob))
	}
	if applied != nil {
		return false
	}
	unpacked, err := node.ReadDirectory(name, directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, difference := range node.Compare(unpacked, node.ReadTree(name, diff.Root(), content.of)) {
		if !s.permits(difference) {
			t.Error(difference)
		}
	}
	if t.Failed() {
		t.Fatalf("it was:\n%s", describe(blob))
	}
	s.directories = append([]string{directory}, s.directories...)
	s.diffs = append([]layer.Lower{diff}, s.diffs...)
	return true
}

// larderTakes tells whether containerd's error is about what is no error for Larder: a directory that was removed
// by a later entry of its layer, whose times containerd sets all the same, and a file below where this layer has a
// directory two levels deep.
func larderTakes(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "failed call to UtimesNanoAt") || strings.Contains(err.Error(), ": not a directory"))
}

// permits lets pass what a pull stamps with its own time.
func (s *stack) permits(d node.Difference) bool {
	stamped, err := time.Parse(time.RFC3339Nano, d.Pulled)
	return d.Field == "mtime" && err == nil && stamped.After(s.started)
}

func (s *stack) applyNext(t *testing.T, directory string, blob []byte) error {
	t.Helper()
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	apply := exec.CommandContext(t.Context(), s.apply, append([]string{directory}, s.directories...)...)
	apply.Stdin = bytes.NewReader(blob)
	if output, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

func (s *stack) readNext(t *testing.T, blob []byte) (*layer.Diff, *contents, error) {
	t.Helper()
	content := &contents{}
	diff, err := layer.Read(t.Context(), bytes.NewReader(blob), layer.Spec{
		DiffID: digest.FromBytes(blob), Bottom: len(s.diffs) == 0, Limit: 1 << 30,
	}, content)
	if err == nil {
		err = diff.Inherit(s.diffs)
	}
	return diff, content, err
}

// contents keeps each file as if it were a block of its own.
type contents struct{ files [][]byte }

func (c *contents) Store(_ context.Context, _ string, r io.Reader, _ int64) ([]tree.Extent, error) {
	content, err := io.ReadAll(r)
	c.files = append(c.files, content)
	return []tree.Extent{{Start: uint32(len(c.files) - 1), Count: 1}}, err
}

func (c *contents) of(node *tree.Node) []byte {
	extents := node.Extents.List()
	if len(extents) == 0 {
		return nil
	}
	return c.files[extents[0].Start]
}

// randomLayer makes a tar of a few names, so that its entries meet each other and those of other layers.
func randomLayer(t *testing.T, random *rand.Rand) []byte {
	t.Helper()
	var blob bytes.Buffer
	writer, names := tar.NewWriter(&blob), &names{random: random}
	for range 1 + random.IntN(15) {
		header, content := randomEntry(random, names)
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(writer, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return blob.Bytes()
}

// names are those of a layer so far: most entries are in a directory or behind a link, and most hard links lead to
// a file, so that few layers are refused for trivial reasons.
type names struct {
	random             *rand.Rand
	directories, files []string
}

func (n *names) next() string {
	var path string
	if len(n.directories) > 0 && n.random.IntN(3) > 0 {
		path = n.directories[n.random.IntN(len(n.directories))] + "/"
	}
	path += randomName(n.random)
	for range n.random.IntN(3) {
		path += "/" + randomName(n.random)
	}
	return path
}

func (n *names) file() string {
	if len(n.files) > 0 && n.random.IntN(10) > 0 {
		return n.files[n.random.IntN(len(n.files))]
	}
	return n.next()
}

func randomEntry(random *rand.Rand, names *names) (*tar.Header, string) {
	if random.IntN(30) == 0 {
		return &tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: names.next(), PAXRecords: map[string]string{"comment": "x"}}, ""
	}
	header := &tar.Header{
		Format: tar.FormatPAX, Name: names.next(), Mode: int64(random.IntN(0o10000)),
		Uid: random.IntN(3) * 70_000, Gid: random.IntN(3) * 70_000, ModTime: randomTime(random), PAXRecords: map[string]string{},
	}
	content := randomKind(header, random, names)
	header.Size = int64(len(content))
	if random.IntN(4) == 0 {
		header.PAXRecords["SCHILY.xattr.user."+randomName(random)] = randomName(random)
	}
	if random.IntN(6) == 0 && header.Typeflag == tar.TypeReg {
		header.PAXRecords["SCHILY.xattr.security.capability"] = capability
	}
	if random.IntN(6) == 0 {
		header.PAXRecords["SCHILY.xattr.system.posix_acl_access"] = acl
	}
	if random.IntN(6) == 0 && header.Typeflag == tar.TypeDir {
		header.PAXRecords["SCHILY.xattr.system.posix_acl_default"] = acl
	}
	header.Name = []string{"", "./", "/"}[random.IntN(3)] + header.Name
	return header, content
}

// randomKind makes the entry something, and returns its bytes.
func randomKind(header *tar.Header, random *rand.Rand, names *names) (content string) {
	switch random.IntN(12) {
	case 0, 1, 2:
		header.Typeflag = tar.TypeDir
		names.directories = append(names.directories, header.Name)
		header.Name += "/"
	case 3, 4:
		header.Typeflag = tar.TypeSymlink
		header.Linkname = []string{"/", "../", "./", "", "../../"}[random.IntN(5)] + names.next()
		names.directories = append(names.directories, header.Name)
	case 5:
		header.Typeflag = tar.TypeLink
		header.Linkname = []string{"/", "./", ""}[random.IntN(3)] + names.file()
	case 6:
		header.Name += "/.wh..wh..opq"
	case 7:
		header.Name += "/.wh." + randomName(random)
	case 8:
		header.Typeflag, header.Devmajor, header.Devminor = tar.TypeChar, random.Int64N(300), random.Int64N(300)
		names.files = append(names.files, header.Name)
	default:
		header.Typeflag = tar.TypeReg
		content = strings.Repeat(randomName(random), random.IntN(3))
		names.files = append(names.files, header.Name)
	}
	return content
}

// capability is cap_net_bind_service=ep, in revision 2 of struct vfs_cap_data (linux/capability.h).
const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func randomName(random *rand.Rand) string { return string(rune('a' + random.IntN(6))) }

func randomTime(random *rand.Rand) time.Time {
	switch random.IntN(10) {
	case 0:
		return time.Unix(-random.Int64N(1e9), 0)
	case 1:
		return time.Unix(1e10, 0) // the year 2286, which is more than containerd sets
	case 2:
		return time.Unix(9e9, random.Int64N(1e9))
	}
	return time.Unix(random.Int64N(1e9), random.Int64N(1e9))
}

// describe lists a tar's entries for whoever has to find out what went wrong.
func describe(blob []byte) string {
	var lines strings.Builder
	reader := tar.NewReader(bytes.NewReader(blob))
	for {
		header, err := reader.Next()
		if err != nil {
			return lines.String()
		}
		fmt.Fprintf(&lines, "%c %q -> %q %04o %d:%d %v %q\n", header.Typeflag, header.Name, header.Linkname, header.Mode,
			header.Uid, header.Gid, header.ModTime.UTC(), header.PAXRecords)
	}
}
