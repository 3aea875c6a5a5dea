//go:build node

package cold_test

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
