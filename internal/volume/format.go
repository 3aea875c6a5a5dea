package volume

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/tree"
)

// Format names a kind of volume.
type Format string

const (
	// Bottlerocket is the data volume of a Bottlerocket node.
	Bottlerocket Format = "Bottlerocket"
	// Containerd is a disk to mount as containerd's root directory.
	Containerd Format = "Containerd"
	// Files is a disk with the files of images, as a container would see them.
	Files Format = "Files"
)

// Formats returns all formats, the default first.
func Formats() []Format {
	names := make([]Format, len(kinds))
	for i, kind := range kinds {
		names[i] = kind.name
	}
	return names
}

// ParseFormat returns the format of that name, and the default for none.
func ParseFormat(name string) (Format, error) {
	kind, err := kindOf(Format(name))
	if err != nil {
		return "", err
	}
	return kind.name, nil
}

// FormatError says that images cannot be on a volume of a format.
type FormatError struct {
	Format Format
	Err    error
}

func (e *FormatError) Error() string { return fmt.Sprintf("format %s: %v", e.Format, e.Err) }

func (e *FormatError) Unwrap() error { return e.Err }

// kind is all that the volumes of one format have of their own.
type kind struct {
	name Format
	// partitioned says that the filesystem is in Bottlerocket's partition; else it is the whole disk.
	partitioned bool
	// label is the SELinux label of what containerd keeps, empty for none.
	label string
	// containerdRoot is the path of containerd's root in the filesystem: "." for the filesystem's own.
	containerdRoot string
	// alwaysInFull is why no volume is built upon a parent; empty where it can be.
	alwaysInFull string

	// plan decides what is read, and where it goes.
	plan func(p *Plan) error
	// fill returns the filesystem's root directory, and the directory in it that has the regions' trees, if any.
	fill func(b *build, ctx context.Context, layout *Layout) (root, regions *tree.Node, err error)
	// list returns the images that are on a volume.
	list func(k *kind, filesystem *ext4.Reader, layout *Layout) ([]ContentsImage, error)
}

// kinds begin with the default.
var kinds = []*kind{
	{
		name:        Bottlerocket,
		partitioned: true,
		// Files without a label would be local_t, which containers may write (bottlerocket-core-kit,
		// packages/selinux-policy).
		label: "system_u:object_r:cache_t:s0",
		// Bottlerocket binds /local/var, on this partition, to /var (bottlerocket-core-kit, packages/release).
		containerdRoot: "var/lib/containerd",
		plan:           (*Plan).planContainerd, fill: (*build).fillContainerd, list: (*kind).listContainerd,
	},
	{
		name:           Containerd,
		containerdRoot: ".",
		plan:           (*Plan).planContainerd, fill: (*build).fillContainerd, list: (*kind).listContainerd,
	},
	{
		name:         Files,
		alwaysInFull: "a volume of the format Files is always built in full",
		plan:         (*Plan).planFiles, fill: (*build).fillFiles, list: (*kind).listFiles,
	},
}

func kindOf(name Format) (*kind, error) {
	if name == "" {
		return kinds[0], nil
	}
	at := slices.IndexFunc(kinds, func(k *kind) bool { return k.name == name })
	if at < 0 {
		return nil, fmt.Errorf("the format %q is not known: give one of %s", name, formatNames())
	}
	return kinds[at], nil
}

func formatNames() string {
	var names []string
	for _, name := range Formats() {
		names = append(names, string(name))
	}
	return strings.Join(names, ", ")
}

// start is where on the disk the filesystem begins, in bytes.
func (k *kind) start() int64 {
	if k.partitioned {
		return partitionStart
	}
	return 0
}

// filesystemSize returns the filesystem's size on a disk of size bytes.
func (k *kind) filesystemSize(size int64) int64 {
	if k.partitioned {
		return partitionSize(size)
	}
	return size
}
