//go:build node

// Package node_test measures how long a kubelet takes from a pod's manifest to its started container, with an image
// that it has to pull and with the same one on a volume.
package node_test

import (
	"os"
	"testing"

	"github.com/larder-dev/larder/test/bench"
	"github.com/larder-dev/larder/test/node"
)

var report bench.Report

func TestMain(m *testing.M) {
	os.Exit(report.Main(func() int { return node.Isolate(m) }))
}
