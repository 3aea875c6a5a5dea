//go:build node

package node_test

import (
	"os"
	"testing"

	"github.com/larder-dev/larder/test/node"
)

func TestMain(m *testing.M) { os.Exit(node.Isolate(m)) }
