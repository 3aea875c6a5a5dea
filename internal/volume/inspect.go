package volume

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/ctrstore"
	"github.com/larder-dev/larder/internal/ext4"
)

// Contents is what is on a volume, read from the volume itself.
type Contents struct {
	Format Format `json:"format"`
	// Size is the disk's, in bytes.
	Size int64 `json:"size"`
	// Filesystem is the filesystem's UUID.
	Filesystem string `json:"filesystem"`
	// Used is what containerd's snapshots, or the images' files, take of the filesystem, in bytes.
	Used int64 `json:"used"`
	// Traced is what traced files take of it, with what finding them takes, in bytes; 0 for a volume without a trace.
	Traced int64           `json:"traced,omitempty"`
	Images []ContentsImage `json:"images"`
}

// ContentsImage is one image as containerd's own database on the volume has it, or where there are only its files,
// the layout record.
type ContentsImage struct {
	// Names are all names that containerd knows it by. A volume of files knows one.
	Names  []string      `json:"names"`
	Digest digest.Digest `json:"digest"`
	// Directory has the image's files, if they are there as such: "/" is the filesystem's root.
	Directory string `json:"directory,omitempty"`
	// Pinned images are never collected by a kubelet, which has nothing to do with a volume of files.
	Pinned    bool     `json:"pinned,omitempty"`
	Platforms []string `json:"platforms"`
	// Size is the sum of the compressed layers, in bytes.
	Size int64 `json:"size"`
}

// maxRecord bounds what is read into memory or copied of a volume that may be hostile, in bytes.
const maxRecord = 1 << 30

// Inspect reads what is on a disk of size bytes: a raw disk file or a snapshot.
func Inspect(disk io.ReaderAt, size int64) (*Contents, error) {
	filesystem, _, err := openFilesystem(disk, size)
	if err != nil {
		return nil, err
	}
	layout, err := readLayout(filesystem)
	if err != nil {
		return nil, err
	}
	kind, err := kindOf(layout.Format)
	if err != nil {
		return nil, fmt.Errorf("reading the layout record: %w", err)
	}
	images, err := kind.list(kind, filesystem, layout)
	if err != nil {
		return nil, err
	}
	contents := &Contents{
		Format:     layout.Format,
		Size:       layout.Size,
		Filesystem: layout.Lineage.Filesystem.String(),
		Images:     images,
		Used:       layout.Used(),
	}
	for _, region := range layout.Regions {
		for _, l := range region.Layers {
			for _, blocks := range l.Hot {
				contents.Traced += int64(blocks.Count) * ext4.BlockSize
			}
		}
	}
	return contents, nil
}

// ReadLayout reads the layout record of a disk of size bytes: what the build was asked for, without a look at what
// became of it.
func ReadLayout(disk io.ReaderAt, size int64) (*Layout, error) {
	filesystem, _, err := openFilesystem(disk, size)
	if err != nil {
		return nil, err
	}
	return readLayout(filesystem)
}

func readLayout(filesystem *ext4.Reader) (*Layout, error) {
	file, err := filesystem.Open(LayoutPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s on the volume: it was not made by Larder", LayoutPath)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the layout record: %w", err)
	}
	if file.Size() > maxRecord {
		return nil, fmt.Errorf("reading the layout record: it has %d bytes", file.Size())
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("reading the layout record: %w", err)
	}
	return parseLayout(data)
}

// listContainerd believes containerd's own database, which a node goes by.
func (k *kind) listContainerd(filesystem *ext4.Reader, layout *Layout) ([]ContentsImage, error) {
	records, err := readImageRecords(filesystem, path.Join(k.containerdRoot, ctrstore.MetadataPath))
	if err != nil {
		return nil, err
	}
	return joinImages(records, layout.Images), nil
}

// readImageRecords copies containerd's database out of the volume, because bbolt opens files only.
func readImageRecords(filesystem *ext4.Reader, metadata string) ([]ctrstore.ImageRecord, error) {
	file, err := filesystem.Open(metadata)
	if err != nil {
		return nil, fmt.Errorf("reading containerd's metadata: %w", err)
	}
	if file.Size() > maxRecord {
		return nil, fmt.Errorf("reading containerd's metadata: it has %d bytes", file.Size())
	}
	dir, err := os.MkdirTemp("", "larder-inspect-")
	if err != nil {
		return nil, fmt.Errorf("reading containerd's metadata: %w", err)
	}
	defer os.RemoveAll(dir)
	replica := filepath.Join(dir, "meta.db")
	database, err := os.Create(replica)
	if err != nil {
		return nil, fmt.Errorf("reading containerd's metadata: %w", err)
	}
	_, copyErr := io.Copy(database, file)
	if err := errors.Join(copyErr, database.Close()); err != nil {
		return nil, fmt.Errorf("reading containerd's metadata: %w", err)
	}
	return ctrstore.ReadImages(replica)
}

// joinImages groups the records by what they point at, and adds what the layout record knows of it.
func joinImages(records []ctrstore.ImageRecord, known []LayoutImage) []ContentsImage {
	byDigest := map[digest.Digest]*ContentsImage{}
	for _, record := range records {
		entry := byDigest[record.Target.Digest]
		if entry == nil {
			entry = &ContentsImage{Digest: record.Target.Digest, Pinned: true}
			byDigest[record.Target.Digest] = entry
		}
		entry.Names = append(entry.Names, record.Name)
		entry.Pinned = entry.Pinned && record.Pinned()
	}
	for _, img := range known {
		if entry := byDigest[img.Digest]; entry != nil {
			entry.Platforms, entry.Size = img.Platforms, img.Size
		}
	}
	images := make([]ContentsImage, 0, len(byDigest))
	for _, entry := range byDigest {
		slices.Sort(entry.Names)
		images = append(images, *entry)
	}
	slices.SortFunc(images, func(a, b ContentsImage) int { return strings.Compare(a.Names[0], b.Names[0]) })
	return images
}
