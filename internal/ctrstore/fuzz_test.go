package ctrstore

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzReadImages reads damaged databases, as a volume that someone else made may have: an error or some images, in
// bounded time and memory.
func FuzzReadImages(f *testing.F) {
	path, _ := writeDatabases(f, mustPlan(f, indexed("docker.io/library/a", "1", build("amd64", "x")), single("quay.io/b", "", build("", "y"))))
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, damage := range []struct {
		at    uint32
		value byte
	}{{0, 0}, {24, 0}, {4096 + 32, 3}, {3*4096 + 8, 1}, {3*4096 + 24, 3}} {
		f.Add(damage.at, damage.value, uint32(0), byte(0))
	}
	f.Fuzz(func(t *testing.T, at1 uint32, value1 byte, at2 uint32, value2 byte) {
		damaged := append([]byte(nil), good...)
		damaged[at1%uint32(len(damaged))] = value1
		damaged[at2%uint32(len(damaged))] = value2
		path := filepath.Join(t.TempDir(), "meta.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		images, err := ReadImages(path)
		for _, img := range images {
			if err == nil && img.Labels == nil {
				t.Errorf("the image %q was read without labels", img.Name)
			}
		}
	})
}
