package registry

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Epoch is the modification time of entries that name none.
var Epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// Entry is one header of a layer's tar and the bytes behind it. Names are written as they stand, bad ones too.
type Entry struct {
	Name string
	// Type is a tar.Type… constant; 0 means a regular file, or a directory where the name ends in a slash.
	Type byte
	// Mode has the twelve permission bits; 0 means 0755 for directories and 0644 for all else.
	Mode     int64
	UID, GID int
	Content  []byte
	// Link is the target of a symbolic or hard link.
	Link         string
	Major, Minor int64
	// Xattrs maps full names ("security.capability") to raw values.
	Xattrs map[string]string
	// ModTime is Epoch when left out.
	ModTime time.Time
}

func (e Entry) header() *tar.Header {
	header := &tar.Header{
		Name:     e.Name,
		Typeflag: e.Type,
		Mode:     e.Mode,
		Uid:      e.UID,
		Gid:      e.GID,
		Linkname: e.Link,
		Devmajor: e.Major,
		Devminor: e.Minor,
		Size:     int64(len(e.Content)),
		ModTime:  e.ModTime,
		// PAX keeps long names, large owners, nanoseconds and extended attributes.
		Format: tar.FormatPAX,
	}
	if header.Typeflag == 0 {
		header.Typeflag = tar.TypeReg
		if strings.HasSuffix(e.Name, "/") {
			header.Typeflag = tar.TypeDir
		}
	}
	if header.Mode == 0 {
		header.Mode = 0o644
		if header.Typeflag == tar.TypeDir {
			header.Mode = 0o755
		}
	}
	if header.ModTime.IsZero() {
		header.ModTime = Epoch
	}
	if len(e.Xattrs) > 0 {
		header.PAXRecords = map[string]string{}
		for name, value := range e.Xattrs {
			header.PAXRecords["SCHILY.xattr."+name] = value
		}
	}
	return header
}

// Whiteout is an entry that removes what lower layers have under a name.
func Whiteout(name string) Entry {
	directory, base := splitName(name)
	return Entry{Name: directory + ".wh." + base}
}

// Opaque is an entry that hides all that lower layers have in a directory.
func Opaque(directory string) Entry {
	return Entry{Name: strings.TrimSuffix(directory, "/") + "/.wh..wh..opq"}
}

func splitName(name string) (directory, base string) {
	cut := strings.LastIndexByte(name, '/') + 1
	return name[:cut], name[cut:]
}

// Layer is one layer of an Image.
type Layer struct {
	Entries []Entry
	// Write is used in place of Entries where it is set: for more than memory holds.
	Write func(*tar.Writer) error
	// Tar is used in place of both where it is set: for what archive/tar cannot write.
	Tar         []byte
	Compression Compression
}

// builtLayer is a layer's blob with its two digests.
type builtLayer struct {
	descriptor ocispec.Descriptor
	diffID     digest.Digest
	content    []byte
}

func (l Layer) build(docker bool) (*builtLayer, error) {
	if l.Compression == EStargz {
		return l.buildEStargz(docker)
	}
	var content bytes.Buffer
	packed, err := l.Compression.pack(&content)
	if err != nil {
		return nil, fmt.Errorf("compressing a layer: %w", err)
	}
	archive := digest.Canonical.Digester()
	if err := errors.Join(l.writeTar(io.MultiWriter(archive.Hash(), packed)), packed.Close()); err != nil {
		return nil, err
	}
	return &builtLayer{
		descriptor: describe(l.Compression.mediaType(docker), content.Bytes()),
		diffID:     archive.Digest(),
		content:    content.Bytes(),
	}, nil
}

func (l Layer) writeTar(archive io.Writer) error {
	if l.Tar != nil {
		_, err := archive.Write(l.Tar)
		return err
	}
	write := l.Write
	if write == nil {
		write = l.writeEntries
	}
	writer := tar.NewWriter(archive)
	if err := write(writer); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("ending a layer's tar: %w", err)
	}
	return nil
}

func (l Layer) writeEntries(writer *tar.Writer) error {
	for _, entry := range l.Entries {
		if err := writer.WriteHeader(entry.header()); err != nil {
			return fmt.Errorf("writing the header of %q: %w", entry.Name, err)
		}
		if _, err := writer.Write(entry.Content); err != nil {
			return fmt.Errorf("writing the content of %q: %w", entry.Name, err)
		}
	}
	return nil
}
