package ctrstore

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"
)

// pageSize is fixed, so that the bytes do not depend on the builder's machine; bbolt reads any, since a
// database says its own.
const pageSize = 4096

// bucket describes a bbolt bucket.
type bucket struct {
	values   map[string][]byte
	buckets  map[string]*bucket
	sequence uint64
}

func newBucket() *bucket {
	return &bucket{values: map[string][]byte{}, buckets: map[string]*bucket{}}
}

// child returns the bucket at a path, and makes it if it is not there.
func (b *bucket) child(path ...string) *bucket {
	for _, name := range path {
		next := b.buckets[name]
		if next == nil {
			next = newBucket()
			b.buckets[name] = next
		}
		b = next
	}
	return b
}

// creator is a *bbolt.Tx or a *bbolt.Bucket.
type creator interface {
	CreateBucket(name []byte) (*bbolt.Bucket, error)
}

func (b *bucket) writeTo(parent creator, name string) error {
	written, err := parent.CreateBucket([]byte(name))
	if err != nil {
		return fmt.Errorf("creating the bucket %q: %w", name, err)
	}
	if err := written.SetSequence(b.sequence); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(b.values)) {
		if err := written.Put([]byte(key), b.values[key]); err != nil {
			return fmt.Errorf("writing %q in the bucket %q: %w", key, name, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b.buckets)) {
		if err := b.buckets[key].writeTo(written, key); err != nil {
			return err
		}
	}
	return nil
}

// writeDatabase writes a new bbolt file whose root holds the bucket under the schema's name.
func writeDatabase(path string, root *bucket) (err error) {
	draft := path + ".draft"
	source, err := createDatabase(draft)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, source.Close(), os.Remove(draft)) }()
	if err := source.Update(func(tx *bbolt.Tx) error { return root.writeTo(tx, schemaVersion) }); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	target, err := createDatabase(path)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, target.Close()) }()
	// Within a transaction bbolt takes pages in the random order of its maps of buckets. One transaction for
	// each key leaves it no choice, and so the same contents give the same bytes.
	if err := bbolt.Compact(target, source, 1); err != nil {
		return fmt.Errorf("compacting %s: %w", filepath.Base(path), err)
	}
	return nil
}

func createDatabase(path string) (*bbolt.DB, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("replacing a database: %w", err)
	}
	// The file is read back by this process alone, so it need not survive a crash.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize, NoSync: true, NoGrowSync: true, FreelistType: bbolt.FreelistArrayType})
	if err != nil {
		return nil, fmt.Errorf("creating the database %s: %w", path, err)
	}
	return db, nil
}
