package ctrstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

func writeDatabases(t testing.TB, contents *Contents) (metadata, snapshotter string) {
	t.Helper()
	directory := t.TempDir()
	if err := contents.WriteDatabases(directory, created); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("there are %v, want two databases and nothing else", entries)
	}
	return filepath.Join(directory, "meta.db"), filepath.Join(directory, "metadata.db")
}

// dump reads a database into one line per key, with the path of its buckets, and one per sequence.
func dump(t testing.TB, path string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lines := map[string]string{}
	var walk func(prefix string, b *bbolt.Bucket) error
	walk = func(prefix string, b *bbolt.Bucket) error {
		if b.Sequence() != 0 {
			lines[prefix+"#"] = fmt.Sprint(b.Sequence())
		}
		return b.ForEach(func(key, value []byte) error {
			name := prefix + "/" + readable(key)
			if nested := b.Bucket(key); nested != nil {
				return walk(name, nested)
			}
			lines[name] = readable(value)
			return nil
		})
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(string(name), b) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// readable renders numbers as hexadecimal.
func readable(value []byte) string {
	for _, b := range value {
		if b < ' ' || b > '~' {
			return fmt.Sprintf("%x", value)
		}
	}
	return string(value)
}

func TestDatabasesHoldWhatContainerdReads(t *testing.T) {
	img := single("docker.io/library/a", "1", build("", "x", "y"))
	contents := mustPlan(t, img)
	contents.Snapshots[0].Size, contents.Snapshots[0].Inodes = 8192, 2
	contents.Snapshots[1].Size, contents.Snapshots[1].Inodes = 1<<40, 300
	metadata, snapshots := writeDatabases(t, contents)

	stamp, err := created.UTC().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("%x", stamp)
	bottom, top := chainID("x").String(), chainID("x", "y").String()
	manifest, config := img.Target.Digest.String(), img.Manifests[0].Config.Digest.String()
	const source = "containerd.io/distribution.source.docker.io"

	want := map[string]string{"v1/version": "06", "v1/k8s.io/snapshots/overlayfs#": "2"}
	add := func(prefix string, pairs ...string) {
		want[prefix+"/createdat"], want[prefix+"/updatedat"] = at, at
		for i := 0; i < len(pairs); i += 2 {
			want[prefix+"/"+pairs[i]] = pairs[i+1]
		}
	}
	for _, name := range img.Names() {
		add("v1/k8s.io/images/"+name, "labels/io.cri-containerd.image", "managed", "labels/io.cri-containerd.pinned", "pinned",
			"target/digest", manifest, "target/mediatype", img.Target.MediaType, "target/size", number(img.Target.Size))
	}
	add("v1/k8s.io/content/blob/"+manifest, "size", number(img.Target.Size), "labels/"+source, "library/a", "labels/containerd.io/gc.ref.content.config", config)
	add("v1/k8s.io/content/blob/"+config, "size", number(img.Manifests[0].Config.Size), "labels/"+source, "library/a",
		"labels/containerd.io/gc.ref.snapshot.overlayfs", top)
	add("v1/k8s.io/snapshots/overlayfs/"+bottom, "name", "k8s.io/1/"+bottom, "labels/containerd.io/snapshot.ref", bottom, "children/"+top, "")
	add("v1/k8s.io/snapshots/overlayfs/"+top, "name", "k8s.io/2/"+top, "labels/containerd.io/snapshot.ref", top, "parent", bottom)
	if difference := cmp.Diff(want, dump(t, metadata)); difference != "" {
		t.Errorf("meta.db (-want +got):\n%s", difference)
	}

	want = map[string]string{"v1/snapshots#": "2", "v1/parents/010002": "k8s.io/2/" + top}
	add("v1/snapshots/k8s.io/1/"+bottom, "id", "01", "kind", "03", "size", number(8192), "inodes", number(2), "labels/containerd.io/snapshot.ref", bottom)
	add("v1/snapshots/k8s.io/2/"+top, "id", "02", "kind", "03", "size", number(1<<40), "inodes", number(300),
		"labels/containerd.io/snapshot.ref", top, "parent", "k8s.io/1/"+bottom)
	if difference := cmp.Diff(want, dump(t, snapshots)); difference != "" {
		t.Errorf("metadata.db (-want +got):\n%s", difference)
	}
}

func number(n int64) string { return readable(binary.AppendVarint(nil, n)) }

// TestDatabasesAreTheSameBytes plans anew each time, since Go walks the same map in the same order more often
// than not.
func TestDatabasesAreTheSameBytes(t *testing.T) {
	var names []string
	for i := range 24 {
		names = append(names, fmt.Sprint("layer ", i))
	}
	plan := func() *Contents {
		return mustPlan(t,
			indexed("docker.io/library/a", "1", build("amd64", names...), build("arm64", names[:12]...)),
			// A blob's labels beyond a quarter of a page get pages of their own.
			single("docker.io/"+strings.Repeat("long/", 300)+"b", "2", build("", names[4:16]...)),
		)
	}
	var metadata, snapshots []byte
	for run := range 20 {
		metadataPath, snapshotsPath := writeDatabases(t, plan())
		for path, first := range map[string]*[]byte{metadataPath: &metadata, snapshotsPath: &snapshots} {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if *first == nil {
				*first = content
			}
			if !bytes.Equal(*first, content) {
				t.Fatalf("run %d: %s has other bytes than the first time", run, filepath.Base(path))
			}
		}
	}
}

func TestWriteDatabasesReplacesFiles(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"meta.db", "metadata.db"} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte("left over"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := mustPlan(t, single("r/a", "1", build("", "x"))).WriteDatabases(directory, created); err != nil {
		t.Fatal(err)
	}
	if images, err := ReadImages(filepath.Join(directory, "meta.db")); err != nil || len(images) != 3 {
		t.Errorf("got %d images and error %v, want 3", len(images), err)
	}
}

func BenchmarkWriteDatabases(b *testing.B) {
	contents := &Contents{}
	for i := range 3000 {
		contents.Snapshots = append(contents.Snapshots, Snapshot{ID: uint64(i + 1), ChainID: chainID(fmt.Sprint(i))})
	}
	directory := b.TempDir()
	for b.Loop() {
		if err := contents.WriteDatabases(directory, created); err != nil {
			b.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(directory, "meta.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB")
}
