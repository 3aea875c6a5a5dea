//go:build node

package cold_test

import (
	"os"
	"testing"

	"github.com/larder-dev/larder/test/node"
)

func TestMain(m *testing.M) { os.Exit(node.Isolate(m)) }
