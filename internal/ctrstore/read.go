package ctrstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
)

// lockTimeout is how long to wait for a containerd that has the database open, which keeps it locked.
const lockTimeout = time.Second

// ReadImages lists the image records of a meta.db, sorted by name. It never writes to the file, and a damaged
// one gives an error.
func ReadImages(path string) (images []ImageRecord, err error) {
	if err := checkPages(path); err != nil {
		return nil, err
	}
	// bbolt maps the file and trusts it: damage shows as a panic, or as a fault beyond the file's end.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			images, err = nil, fmt.Errorf("reading the images of %s: the database is damaged: %v", path, cause)
		}
	}()
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		images, err = readImages(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the images of %s: %w", path, err)
	}
	return images, nil
}

func readImages(tx *bbolt.Tx) ([]ImageRecord, error) {
	schema := tx.Bucket([]byte(schemaVersion))
	if schema == nil {
		return nil, errors.New("it is no containerd database of schema " + schemaVersion)
	}
	records := bucketAt(schema, namespace, "images")
	if records == nil {
		return nil, nil
	}
	var images []ImageRecord
	err := records.ForEachBucket(func(name []byte) error {
		img, err := readImage(records.Bucket(name), string(name))
		images = append(images, img)
		return err
	})
	return images, err
}

func readImage(record *bbolt.Bucket, name string) (ImageRecord, error) {
	target := record.Bucket([]byte("target"))
	if target == nil {
		return ImageRecord{}, fmt.Errorf("the image %q has no target", name)
	}
	size, _ := binary.Varint(target.Get([]byte("size")))
	img := ImageRecord{
		Name: name,
		Target: ocispec.Descriptor{
			MediaType: string(target.Get([]byte("mediatype"))),
			Digest:    digest.Digest(target.Get([]byte("digest"))),
			Size:      size,
		},
		Labels: map[string]string{},
	}
	labels := record.Bucket([]byte("labels"))
	if labels == nil {
		return img, nil
	}
	return img, labels.ForEach(func(key, value []byte) error {
		img.Labels[string(key)] = string(value)
		return nil
	})
}

func bucketAt(b *bbolt.Bucket, path ...string) *bbolt.Bucket {
	for _, name := range path {
		if b == nil {
			return nil
		}
		b = b.Bucket([]byte(name))
	}
	return b
}
