package bench

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxFile keeps one file from being most of a layer, in bytes.
const maxFile = 256 << 20

// modified is the time of all files: a layer must not depend on when its files were installed.
var modified = time.Unix(1_700_000_000, 0).UTC()

// systemTrees have what base images are made of, and codeTrees the many small files that are built upon them.
func systemTrees() []string { return []string{"/usr/lib", "/usr/share"} }

func codeTrees() []string {
	modules := os.Getenv("GOMODCACHE")
	if modules == "" {
		modules = filepath.Join(os.Getenv("HOME"), "go", "pkg", "mod")
	}
	return []string{modules, "/usr/local"}
}

// downloads are archives of what lies unpacked beside them.
const downloads = "/pkg/mod/cache"

// entry is a file, directory or symbolic link for a layer.
type entry struct {
	// path is on this machine; name is in the layer.
	path, name string
	info       fs.FileInfo
}

// entries walks trees in order, over and over: each further time below another directory, which makes other layers
// of the same content.
func entries(trees []string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for round := 1; ; round++ {
			prefix := ""
			if round > 1 {
				prefix = fmt.Sprintf("opt/%d", round)
			}
			found, stopped := 0, false
			for _, tree := range trees {
				_ = filepath.WalkDir(tree, func(path string, listed fs.DirEntry, err error) error { // errors skip a file
					if err != nil || !wanted(listed.Type()) {
						return nil //nolint:nilerr // what cannot be listed is not taken
					}
					if strings.HasSuffix(path, downloads) {
						return fs.SkipDir
					}
					info, err := listed.Info()
					if err != nil || info.Size() > maxFile {
						return nil //nolint:nilerr // it was removed since, or is too large
					}
					found++
					name := filepath.Join(prefix, strings.TrimPrefix(path, "/"))
					if stopped = !yield(entry{path: path, name: name, info: info}, nil); stopped {
						return fs.SkipAll
					}
					return nil
				})
				if stopped {
					return
				}
			}
			if found == 0 {
				yield(entry{}, fmt.Errorf("there is no file in %s to make layers of", strings.Join(trees, " and ")))
				return
			}
		}
	}
}

func wanted(kind fs.FileMode) bool { return kind.IsRegular() || kind.IsDir() || kind == fs.ModeSymlink }

// errUnreadable says that an entry was left out.
var errUnreadable = errors.New("it cannot be read")

// write adds the entry to a layer, owned by root and without attributes that a machine's user may have set.
func (e entry) write(to *tar.Writer) error {
	header := &tar.Header{Name: e.name, Mode: int64(e.info.Mode().Perm()), ModTime: modified, Format: tar.FormatPAX}
	switch {
	case e.info.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, e.name+"/"
	case e.info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(e.path)
		if err != nil {
			return errUnreadable
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
	default:
		return e.writeFile(to, header)
	}
	return to.WriteHeader(header)
}

func (e entry) writeFile(to *tar.Writer, header *tar.Header) error {
	file, err := os.Open(e.path)
	if err != nil {
		return errUnreadable
	}
	defer file.Close()
	header.Typeflag, header.Size = tar.TypeReg, e.info.Size()
	if err := to.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.CopyN(to, file, header.Size); err != nil {
		return fmt.Errorf("copying %s into a layer: %w", e.path, err)
	}
	return nil
}
