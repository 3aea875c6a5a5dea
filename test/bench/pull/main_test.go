//go:build node

// Package pull_test measures larder build beside a pull of the same images by a real containerd.
package pull_test

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
