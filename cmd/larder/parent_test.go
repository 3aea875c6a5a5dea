package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-dev/larder/test/fakeaws"
)

// built runs larder build with --json and returns its last line.
func built(t *testing.T, arguments ...string) event {
	t.Helper()
	status, out, messages := larder(t.Context(), append([]string{"build", "--json", "--volume-size", "2Gi"}, arguments...)...)
	if status != 0 {
		t.Fatalf("status %d, messages:\n%s", status, messages)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var result event
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil || result.Event != "result" {
		t.Fatalf("the last line is %q (%v), want the result", lines[len(lines)-1], err)
	}
	return result
}

func TestBuildUponAParent(t *testing.T) {
	_, reference := pushSample(t)
	double := startAWS(t, fakeaws.Options{})
	file := filepath.Join(t.TempDir(), "disk.img")
	targets := map[string]struct {
		first, second []string
	}{
		"file":     {[]string{"--output", file}, []string{"--output", file + ".next"}},
		"snapshot": {[]string{"--snapshot"}, []string{"--snapshot"}},
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			image := []string{"--image", reference}
			first := built(t, append(image, target.first...)...)
			if first.Read == 0 || first.Written == 0 || first.KeptLayers != 0 {
				t.Errorf("the first build says %+v", first)
			}
			parent := first.String()
			second := built(t, append(append(image, "--parent", parent), target.second...)...)
			if second.Read != 0 || second.Written != 0 || second.KeptLayers != first.Layers || second.WithoutParent != "" {
				t.Errorf("the same images upon their own volume: %+v", second)
			}
			if status, out, messages := larder(t.Context(), "inspect", second.String()); status != 0 || !strings.Contains(out, reference) {
				t.Errorf("status %d, messages %q, and the table does not name %s:\n%s", status, messages, reference, out)
			}
		})
	}
	double.SetEncryptByDefault(true)
	parent := double.Snapshots()[0].ID
	refused := built(t, "--image", reference, "--snapshot", "--parent", parent)
	if refused.KeptLayers != 0 || !strings.HasPrefix(refused.WithoutParent, "parent "+parent+" cannot be built upon: ") {
		t.Errorf("upon an unencrypted snapshot in an account that encrypts: %+v", refused)
	}
	gone := built(t, "--image", reference, "--snapshot", "--parent", "snap-0fffffffffffffff0")
	if gone.KeptLayers != 0 || !strings.Contains(gone.WithoutParent, "snap-0fffffffffffffff0") {
		t.Errorf("upon a snapshot that does not exist: %+v", gone)
	}
}
