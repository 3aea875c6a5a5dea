//go:build node

package cold_test

import (
	"path/filepath"

	"github.com/larder-dev/larder/test/node"
)

// record starts the application once from a volume, and returns the file that lists what it opened.
func (s *setup) record(image string) string {
	s.Helper()
	disk := mountCold(s.T, s.program("slowdisk"), image, 0)
	n := node.Start(s.T, node.Options{Containerd: node.NewestContainerd(s.T), Root: disk.containerdRoot(), SandboxImage: s.pause})
	trace := filepath.Join(s.directory, "trace.txt")
	run(s.T, s.program("record"), "--address", n.Address(), "--output", trace, s.app)
	n.Stop(s.T)
	disk.unmount(s.T)
	return trace
}
