//go:build node

package cold_test

import (
	"path/filepath"

	"github.com/larder-dev/larder/test/node"
)

// record starts the application once from a volume, and returns the file that lists what it opened.
func (b *bench) record(image string) string {
	b.Helper()
	disk := mountCold(b.T, b.program("slowdisk"), image, 0)
	n := node.Start(b.T, node.Options{Containerd: node.NewestContainerd(b.T), Root: disk.containerdRoot(), SandboxImage: b.pause})
	trace := filepath.Join(b.directory, "trace.txt")
	run(b.T, b.program("record"), "--address", n.Address(), "--output", trace, b.app)
	n.Stop(b.T)
	disk.unmount(b.T)
	return trace
}
