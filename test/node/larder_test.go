//go:build node

package node_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/registry"
)

// nobody is the user id with which larder runs in these tests: none that owns anything.
const nobody = 65534

// user is a person with the larder command, a home of their own, and no privilege whatever.
type user struct {
	home   string
	larder string
	builds int
}

func newUser(t *testing.T) *user {
	t.Helper()
	home, err := os.MkdirTemp("", "larder-user-") // t.TempDir's own directory is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	u := &user{home: home, larder: filepath.Join(home, "larder")}
	compile(t, u.larder, "../../cmd/larder")
	if err := errors.Join(os.Chmod(home, 0o755), os.Chown(home, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	return u
}

// run runs larder as a user without capabilities and returns what it wrote to standard output.
func (u *user) run(t *testing.T, environment []string, arguments ...string) []byte {
	t.Helper()
	id := strconv.Itoa(nobody)
	command := exec.CommandContext(t.Context(), "setpriv", append([]string{
		"--reuid", id, "--regid", id, "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", u.larder,
	}, arguments...)...)
	command.Env = append([]string{"HOME=" + u.home, "TMPDIR=" + u.home, "PATH=" + os.Getenv("PATH")}, environment...)
	command.Dir = u.home
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("larder %s: %v\n%s%s", strings.Join(arguments, " "), err, output, stderr.Bytes())
	}
	return output
}

// build writes a volume of images for the given platforms to a new file and returns its path.
func (u *user) build(t *testing.T, references []string, platforms string, environment ...string) string {
	t.Helper()
	u.builds++
	file := filepath.Join(u.home, "disk"+strconv.Itoa(u.builds)+".img")
	arguments := []string{"build", "--platform", platforms, "--output", file}
	for _, reference := range references {
		arguments = append(arguments, "--image", reference)
	}
	u.run(t, environment, arguments...)
	return file
}

// TestNodeBuildAndInspectNeedNoPrivileges builds a volume and looks into it as a user who may do nothing else.
func TestNodeBuildAndInspectNeedNoPrivileges(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	u := newUser(t)
	file := u.build(t, pushed.all(), platform)
	stopForGood(t, server)

	output := u.run(t, nil, "inspect", file, "--json")
	if !json.Valid(output) {
		t.Errorf("larder inspect --json did not write JSON:\n%s", output)
	}
	for _, reference := range pushed.all() {
		if !bytes.Contains(output, []byte(reference)) {
			t.Errorf("larder inspect does not name %s:\n%s", reference, output)
		}
	}
}

// blockDigests returns the SHA-256 of every block of 512 KiB that is not all zeros, and the file's size.
func blockDigests(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{"size": strconv.FormatInt(size, 10)}
	block := make([]byte, 512<<10)
	zero := make([]byte, len(block))
	for offset := int64(0); offset < size; offset += int64(len(block)) {
		data, err := file.Seek(offset, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // a hole to the end
		}
		if err != nil {
			t.Fatal(err)
		}
		offset = data / int64(len(block)) * int64(len(block))
		length, err := file.ReadAt(block, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if bytes.Equal(block[:length], zero[:length]) {
			continue
		}
		sum := sha256.Sum256(block[:length])
		digests[strconv.FormatInt(offset/int64(len(block)), 10)] = hex.EncodeToString(sum[:])
	}
	return digests
}
