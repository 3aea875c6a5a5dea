package ctrstore

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"
)

// Names of the databases' files in the directory that [Contents.WriteDatabases] writes to.
const (
	metadataFile    = "meta.db"
	snapshotterFile = "metadata.db"
)

const (
	schemaVersion = "v1"
	// databaseVersion is the highest that containerd 1.6 and 1.7 know; 2.x raises it itself.
	databaseVersion = 3
	// namespace is the one that kubelet's images live in.
	namespace = "k8s.io"
	// committed is snapshots.KindCommitted of containerd's core/snapshots/snapshotter.go.
	committed = 3
)

// WriteDatabases writes meta.db and metadata.db into a directory. The same contents and time give the same
// bytes.
func (c *Contents) WriteDatabases(directory string, created time.Time) error {
	stamp, err := created.UTC().MarshalBinary()
	if err != nil {
		return fmt.Errorf("encoding the time %v: %w", created, err)
	}
	if err := writeDatabase(filepath.Join(directory, metadataFile), c.metadata(stamp)); err != nil {
		return err
	}
	return writeDatabase(filepath.Join(directory, snapshotterFile), c.snapshotterMetadata(stamp))
}

// metadata is containerd's own database: what exists in the namespace, and what refers to what.
func (c *Contents) metadata(stamp []byte) *bucket {
	root := newBucket()
	root.values["version"] = varint(databaseVersion)
	for _, blob := range c.Blobs {
		record := root.child(namespace, "content", "blob", blob.Descriptor.Digest.String())
		record.describe(stamp, blob.Labels)
		record.values["size"] = varint(int64(len(blob.Content)))
	}
	for _, img := range c.Images {
		record := root.child(namespace, "images", img.Name)
		record.describe(stamp, img.Labels)
		target := record.child("target")
		target.values["digest"] = []byte(img.Target.Digest)
		target.values["mediatype"] = []byte(img.Target.MediaType)
		target.values["size"] = varint(img.Target.Size)
	}
	snapshots := root.child(namespace, "snapshots", snapshotter)
	for _, snapshot := range c.Snapshots {
		record := snapshots.child(snapshot.ChainID.String())
		record.describe(stamp, snapshot.labels())
		record.values["name"] = []byte(snapshot.key())
		if snapshot.Parent != "" {
			record.values["parent"] = []byte(snapshot.Parent)
			snapshots.child(snapshot.Parent.String(), "children").values[snapshot.ChainID.String()] = nil
		}
	}
	// Without it the next snapshot's name would be taken.
	snapshots.sequence = c.lastID()
	return root
}

// snapshotterMetadata is the overlayfs snapshotter's database: which directory is which snapshot.
func (c *Contents) snapshotterMetadata(stamp []byte) *bucket {
	root := newBucket()
	snapshots, parents := root.child("snapshots"), root.child("parents")
	byChain := make(map[string]*Snapshot, len(c.Snapshots))
	for i := range c.Snapshots {
		snapshot := &c.Snapshots[i]
		byChain[snapshot.ChainID.String()] = snapshot
		record := snapshots.child(snapshot.key())
		record.describe(stamp, snapshot.labels())
		record.values["id"] = binary.AppendUvarint(nil, snapshot.ID)
		record.values["kind"] = []byte{committed}
		record.values["size"] = varint(snapshot.Size)
		record.values["inodes"] = varint(snapshot.Inodes)
		if parent := byChain[snapshot.Parent.String()]; parent != nil {
			record.values["parent"] = []byte(parent.key())
			link := append(binary.AppendUvarint(nil, parent.ID), 0)
			parents.values[string(binary.AppendUvarint(link, snapshot.ID))] = []byte(snapshot.key())
		}
	}
	// Without it the next snapshot's directory would be taken.
	snapshots.sequence = c.lastID()
	return root
}

func (c *Contents) lastID() uint64 {
	if len(c.Snapshots) == 0 {
		return 0
	}
	return c.Snapshots[len(c.Snapshots)-1].ID
}

// key is the snapshot's name in the snapshotter, which knows nothing of namespaces.
func (s *Snapshot) key() string { return fmt.Sprintf("%s/%d/%s", namespace, s.ID, s.ChainID) }

func (s *Snapshot) labels() map[string]string {
	return map[string]string{chainKey: s.ChainID.String()}
}

// describe writes what all records have.
func (b *bucket) describe(stamp []byte, labels map[string]string) {
	b.values["createdat"], b.values["updatedat"] = stamp, stamp
	for key, value := range labels {
		b.child("labels").values[key] = []byte(value)
	}
}

func varint(n int64) []byte { return binary.AppendVarint(nil, n) }
