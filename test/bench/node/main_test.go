//go:build node

// Package node_test measures how long a kubelet takes from a pod's manifest to its started container, with an image
// that it has to pull and with the same one on a volume.
package node_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/larder-dev/larder/test/bench"
	"github.com/larder-dev/larder/test/node"
)

// report is printed behind the testing package's own last line. It is empty in the process around the isolated one.
var report struct {
	title string
	rows  []string
	json  any
}

func TestMain(m *testing.M) {
	code := node.Isolate(m)
	if report.rows != nil {
		if err := bench.Print(os.Stdout, report.title, report.rows, report.json); err != nil {
			fmt.Fprintln(os.Stderr, "bench-node:", err)
			code = 1
		}
	}
	os.Exit(code)
}
