//go:build node

package ext4

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKernelFindsEveryName mounts a filesystem, in a mount namespace of its own, and has the kernel look up every
// name of its indexed directories. Then it has the kernel add names, and e2fsck find nothing.
func TestKernelFindsEveryName(t *testing.T) {
	l := indexedLayer()
	disk := build(t, options(4<<30), []packed{{layers: []*layer{l}}}, nil).disk.save(t)
	dir := t.TempDir()
	var script strings.Builder
	fmt.Fprintf(&script, "set -e\nmount -o loop %q %q\ncd %q/var/snapshots/0-0\n", disk, dir, dir)
	for directory := range indexedDirectories {
		names := l.root.Children[directory].Names()
		list := filepath.Join(t.TempDir(), "names")
		if err := os.WriteFile(list, []byte(strings.Join(names, "\x00")), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&script, "cd '%s'\n", directory)
		fmt.Fprintf(&script, "test $(xargs -0 -a %q stat -c . -- | wc -l) = %d || { echo '%s: names are not found'; exit 1; }\n", list, len(names), directory)
		fmt.Fprintf(&script, "for i in $(seq 500); do > new-$i; test ! -e none-$i; done\ncd ..\n")
	}
	fmt.Fprintf(&script, "cd /\numount %q\n", dir)
	if output, err := exec.Command("unshare", "-m", "sh", "-c", script.String()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%.2000s", err, output)
	}
	run(t, "e2fsck", "-fn", disk)
}
