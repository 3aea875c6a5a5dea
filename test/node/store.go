//go:build linux

package node

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// Paths in containerd's root directory.
const (
	contentDirectory     = "io.containerd.content.v1.content/blobs"
	metadataFile         = "io.containerd.metadata.v1.bolt/meta.db"
	snapshotterDirectory = "io.containerd.snapshotter.v1.overlayfs"
	snapshotterName      = "overlayfs"
)

// usageField is how much the snapshotter's record of the bytes in a snapshot is above what its files take.
const usageField = "usage in bytes, above what the files take"

// schema is the outermost bucket of both databases.
const schema = "v1"

// Facts are what is true of one object, by field. All values are text, so that they are compared and shown alike.
type Facts map[string]string

// Object names what Facts are about.
type Object struct {
	// Kind is "image", "blob", "snapshot", "lease", "ingest" or "entry".
	Kind string
	// Name is an image's name, a blob's digest, a snapshot's chain id; an entry's is "<chain id> <path>".
	Name string
}

// Store is everything in a containerd root directory that CRI's namespace can see.
type Store map[Object]Facts

// ReadStore reads a root directory's databases, blobs and snapshots. containerd must not be running on it.
func ReadStore(t testing.TB, root string) Store {
	t.Helper()
	store := Store{}
	err := viewDatabase(t, filepath.Join(root, metadataFile), func(tx *bolt.Tx) error {
		return store.readMetadata(tx.Bucket([]byte(schema)).Bucket([]byte(Namespace)))
	})
	if err != nil {
		t.Fatalf("reading containerd's metadata in %s: %v", root, err)
	}
	if err := store.readContent(root); err != nil {
		t.Fatal(err)
	}
	directories := map[string]string{}
	err = viewDatabase(t, filepath.Join(root, snapshotterDirectory, "metadata.db"), func(tx *bolt.Tx) error {
		return store.readSnapshotter(tx.Bucket([]byte(schema)).Bucket([]byte("snapshots")), directories)
	})
	if err != nil {
		t.Fatalf("reading the snapshotter's metadata in %s: %v", root, err)
	}
	for chain, id := range directories {
		taken, err := store.readEntries(chain, filepath.Join(root, snapshotterDirectory, "snapshots", id, "fs"))
		if err != nil {
			t.Fatal(err)
		}
		if err := store[Object{"snapshot", chain}].subtractUsage(taken); err != nil {
			t.Fatalf("reading the usage of snapshot %s: %v", chain, err)
		}
	}
	return store
}

// viewDatabase opens a copy: bbolt's lock and its reader's need of a writable file are no business of the volume.
func viewDatabase(t testing.TB, path string, view func(*bolt.Tx) error) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	replica := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(replica, content, 0o600); err != nil {
		return err
	}
	db, err := bolt.Open(replica, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(view)
}

func (s Store) readMetadata(namespace *bolt.Bucket) error {
	if namespace == nil {
		return fmt.Errorf("there is no namespace %s", Namespace)
	}
	forEachBucket(namespace.Bucket([]byte("images")), func(name string, image *bolt.Bucket) {
		facts := s.add("image", name)
		target := image.Bucket([]byte("target"))
		facts["target"] = string(target.Get([]byte("digest")))
		facts["media type"] = string(target.Get([]byte("mediatype")))
		facts["size"] = varint(target.Get([]byte("size")))
		addLabels(facts, image)
	})
	if content := namespace.Bucket([]byte("content")); content != nil {
		forEachBucket(content.Bucket([]byte("blob")), func(digest string, blob *bolt.Bucket) {
			facts := s.add("blob", digest)
			facts["size"] = varint(blob.Get([]byte("size")))
			addLabels(facts, blob)
		})
		forEachBucket(content.Bucket([]byte("ingests")), func(name string, _ *bolt.Bucket) { s.add("ingest", name) })
	}
	if snapshotters := namespace.Bucket([]byte("snapshots")); snapshotters != nil {
		forEachBucket(snapshotters.Bucket([]byte(snapshotterName)), func(chain string, snapshot *bolt.Bucket) {
			facts := s.add("snapshot", chain)
			facts["parent"] = string(snapshot.Get([]byte("parent")))
			addLabels(facts, snapshot)
		})
	}
	forEachBucket(namespace.Bucket([]byte("leases")), func(name string, _ *bolt.Bucket) { s.add("lease", name) })
	return nil
}

// readSnapshotter adds the snapshotter's own facts, and notes the directory of each chain id.
func (s Store) readSnapshotter(snapshots *bolt.Bucket, directories map[string]string) error {
	var problem error
	forEachBucket(snapshots, func(key string, snapshot *bolt.Bucket) {
		// "k8s.io/12/sha256:…": the number only keeps names apart.
		parts := strings.SplitN(key, "/", 3)
		if len(parts) != 3 || parts[0] != Namespace {
			problem = fmt.Errorf("the snapshot key %q is not of the form %s/<number>/<chain id>", key, Namespace)
			return
		}
		chain := parts[2]
		facts, known := s[Object{"snapshot", chain}]
		if !known {
			problem = fmt.Errorf("the snapshotter has %s, which the metadata does not name", key)
			return
		}
		id, _ := binary.Uvarint(snapshot.Get([]byte("id")))
		directories[chain] = fmt.Sprint(id)
		facts["kind"] = hex.EncodeToString(snapshot.Get([]byte("kind")))
		facts[usageField] = varint(snapshot.Get([]byte("size")))
		facts["usage in inodes"] = varint(snapshot.Get([]byte("inodes")))
	})
	return problem
}

// subtractUsage takes what a snapshot's files take off its recorded usage, and so leaves what the record is wrong by.
// The usage itself differs even between two pulls of one image: directories take blocks by the filesystem's hash
// seed, and attributes take one where a label leaves no room in the inode.
func (f Facts) subtractUsage(taken int64) error {
	recorded, err := strconv.ParseInt(f[usageField], 10, 64)
	if err != nil {
		return err
	}
	f[usageField] = fmt.Sprint(recorded - taken)
	return nil
}

func (s Store) add(kind, name string) Facts {
	facts := Facts{}
	s[Object{kind, name}] = facts
	return facts
}

func addLabels(facts Facts, bucket *bolt.Bucket) {
	labels := bucket.Bucket([]byte("labels"))
	if labels == nil {
		return
	}
	_ = labels.ForEach(func(key, value []byte) error { // the function never fails
		facts["label "+string(key)] = string(value)
		return nil
	})
}

func forEachBucket(parent *bolt.Bucket, visit func(name string, child *bolt.Bucket)) {
	if parent == nil {
		return
	}
	_ = parent.ForEachBucket(func(name []byte) error { // the function never fails
		visit(string(name), parent.Bucket(name))
		return nil
	})
}

// varint reads containerd's signed numbers.
func varint(value []byte) string {
	number, _ := binary.Varint(value)
	return fmt.Sprint(number)
}
