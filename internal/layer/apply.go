package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// maxTree bounds what one layer's names and attributes may need in memory, in bytes: a hostile gzip stream
// holds a thousand times its size in headers. It allows for about two and a half million entries, several
// times what the largest layers of public images have. What an entry needs only while it is read is bounded by
// archive/tar: 1 MiB of PAX header, long name or sparse map (maxSpecialFileSize), which is some tens of MiB once
// it is parsed.
const maxTree = 1 << 30

// entryCost is what an entry needs in memory beside its strings, in bytes: a tree.Node, its place in its
// directory's map, and the note of a directory's times.
const entryCost = 400

// xattrCost is what an extended attribute needs in memory beside its bytes, in bytes: the smallest map has room
// for eight.
const xattrCost = 350

// applier builds the tree from entries, one after the other.
type applier struct {
	store  Store
	bottom bool
	limit  int64
	root   *tree.Node
	// implicit has the directories that came to be as another entry's parent.
	implicit      map[*tree.Node]*implicitDirectory
	implicitOrder []*implicitDirectory
	// heirs are the directories whose access control lists depend on the layers below, in the order of their creation,
	// and ownAccess has what an entry gave an access list, or took it, since there are any.
	heirs     map[*tree.Node]*aclHeir
	heirOrder []*aclHeir
	ownAccess map[*tree.Node]bool
	// emptied are the bottom layer's directories whose opaque marker was obeyed: a second one is ignored.
	emptied map[*tree.Node]bool
	// times are set at the end, by name: what is written into a directory must not change them.
	times []directoryTimes
	// cost and stored are in bytes: what the tree needs in memory, and the sizes of the files so far.
	cost, stored int64
}

type directoryTimes struct {
	name         string
	mtime, atime tree.Time
}

func newApplier(store Store, spec Spec) *applier {
	return &applier{
		store:     store,
		bottom:    spec.Bottom,
		limit:     spec.Limit,
		root:      tree.NewDirectory(0o755, minTime),
		implicit:  map[*tree.Node]*implicitDirectory{},
		heirs:     map[*tree.Node]*aclHeir{},
		ownAccess: map[*tree.Node]bool{},
		emptied:   map[*tree.Node]bool{},
	}
}

func (a *applier) applyAll(ctx context.Context, source *source, entries *tar.Reader) error {
	var last string
	for {
		header, err := entries.Next()
		if err == io.EOF { //nolint:errorlint // a wrapped one is the blob's own error, not the end of the tar
			break
		}
		if err != nil {
			return fmt.Errorf("reading the tar after %q: %w", last, source.explain(err))
		}
		last = header.Name
		content := &entryReader{entries: entries}
		err = a.apply(ctx, header, content)
		if content.err != nil {
			return fmt.Errorf("reading layer entry %q: %w", header.Name, source.explain(content.err))
		}
		if failed := (*storeError)(nil); errors.As(err, &failed) {
			return fmt.Errorf("storing layer entry %q: %w", header.Name, failed.err)
		}
		if err != nil {
			return &EntryError{Entry: header.Name, Err: err}
		}
	}
	return a.restoreTimes()
}

// entryReader remembers whether it was the stream that failed, and not the one who reads.
type entryReader struct {
	entries *tar.Reader
	err     error
}

func (r *entryReader) Read(p []byte) (int, error) {
	n, err := r.entries.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// storeError tells the store's failures, which the entry has no part in, from the entry's own.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }

func (a *applier) apply(ctx context.Context, header *tar.Header, content io.Reader) error {
	name, err := cleanName(header.Name)
	if err != nil || name == "" {
		return err
	}
	if err := checkPath(name); err != nil {
		return err
	}
	if err := a.charge(header); err != nil {
		return err
	}
	// Names and attributes are parts of the PAX header that brought them, up to 1 MiB: what is kept is copied.
	name, header.Linkname = strings.Clone(name), strings.Clone(header.Linkname)
	parents, base := path.Split(name)
	parent, err := resolve(a.root, childInMemory, parents)
	if err != nil {
		return err
	}
	where := path.Join(parent.String(), base)
	if err := checkPath(where); err != nil {
		return err
	}
	directory, err := a.ensureDirectory(parent.components)
	if err != nil {
		return err
	}
	if done, err := a.applyWhiteout(directory, base, header); done || err != nil {
		return err
	}
	if err := checkComponent(base); err != nil {
		return err
	}
	if err := a.write(ctx, directory, where, header, content); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeDir {
		a.times = append(a.times, directoryTimes{name, modTime(header), accessTime(header)})
	}
	return nil
}

func (a *applier) charge(header *tar.Header) error {
	a.cost += entryCost + int64(len(header.Name)) + int64(len(header.Linkname))
	for key, value := range header.PAXRecords {
		if strings.HasPrefix(key, paxXattr) {
			a.cost += xattrCost + int64(len(key)) + int64(len(value))
		}
	}
	return checkCost(a.cost)
}

func checkCost(cost int64) error {
	if cost > maxTree {
		return fmt.Errorf("the layer's names and attributes need more than %d MiB", int64(maxTree)>>20)
	}
	return nil
}

// write puts the entry in its directory, in place of what was there.
func (a *applier) write(ctx context.Context, directory *tree.Node, where string, header *tar.Header, content io.Reader) error {
	base := path.Base(where)
	existing := directory.Children[base]
	if header.Typeflag == tar.TypeDir && existing != nil && existing.IsDirectory() {
		if note := a.implicit[existing]; note != nil {
			note.explicit = true
		}
		return a.setAttributes(existing, header)
	}
	remove(directory, base)
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	node, err := a.newNode(ctx, where, header, content)
	if err != nil {
		return err
	}
	if header.Typeflag != tar.TypeLink {
		a.giveACLs(directory, node)
	}
	if err := a.setAttributes(node, header); err != nil {
		return err
	}
	directory.Children[strings.Clone(base)] = node
	if !node.IsDirectory() {
		node.Links++
	}
	return nil
}

// newNode returns the entry's inode without its attributes: a new one, or the one that a hard link shares.
func (a *applier) newNode(ctx context.Context, where string, header *tar.Header, content io.Reader) (*tree.Node, error) {
	switch header.Typeflag {
	case tar.TypeDir:
		return tree.NewDirectory(0, minTime), nil
	case tar.TypeReg, tar.TypeGNUSparse:
		return a.newFile(ctx, where, header.Size, content)
	case tar.TypeLink:
		return a.linkTarget(header.Linkname)
	case tar.TypeSymlink:
		return &tree.Node{Mode: tree.TypeSymlink, Special: &tree.Special{Target: header.Linkname}}, checkTarget(header.Linkname)
	case tar.TypeFifo:
		return &tree.Node{Mode: tree.TypeFIFO}, nil
	case tar.TypeChar:
		return newDevice(tree.TypeCharDev, header)
	case tar.TypeBlock:
		return newDevice(tree.TypeBlockDev, header)
	}
	return nil, fmt.Errorf("the entry type %q is unknown", header.Typeflag)
}

func (a *applier) newFile(ctx context.Context, where string, size int64, content io.Reader) (*tree.Node, error) {
	node := &tree.Node{Mode: tree.TypeRegular, Size: size}
	if size == 0 {
		return node, nil
	}
	if size > a.limit-a.stored {
		return nil, &LimitError{Limit: a.limit}
	}
	a.stored += size
	extents, err := a.store.Store(ctx, where, content, size)
	if err != nil {
		return nil, &storeError{err}
	}
	node.Extents = tree.NewExtents(extents)
	return node, nil
}

// linkTarget finds the inode that a hard link names. Lower layers are not searched: containerd has none of
// their files in the directory that it unpacks to, and fails as well.
func (a *applier) linkTarget(name string) (*tree.Node, error) {
	cleaned, err := cleanName(name)
	if err == nil {
		err = checkPath(cleaned)
	}
	if err != nil {
		return nil, fmt.Errorf("the hard link's target %.300q: %w", name, err)
	}
	// The name is not cleaned: a ".." after a symbolic link means the parent of where that leads.
	parents, base := path.Split(name)
	parent, err := resolve(a.root, childInMemory, parents)
	if err != nil {
		return nil, fmt.Errorf("finding the hard link's target: %w", err)
	}
	target := childOf(parent.node, base)
	if target == nil {
		return nil, fmt.Errorf("its hard link's target %q is not an earlier file of this layer", name)
	}
	if target.IsDirectory() {
		return nil, fmt.Errorf("its hard link's target %q is a directory", name)
	}
	return target, nil
}

// remove takes a name away, with all below it, so that the links of inodes that remain stay right.
func remove(directory *tree.Node, base string) {
	node := directory.Children[base]
	if node == nil {
		return
	}
	delete(directory.Children, base)
	if !node.IsDirectory() {
		node.Links--
		return
	}
	for name := range node.Children {
		remove(node, name)
	}
}

func (a *applier) restoreTimes() error {
	for _, times := range a.times {
		found, err := resolve(a.root, childInMemory, times.name)
		if err != nil {
			return &EntryError{Entry: times.name, Err: err}
		}
		if found.node == nil {
			continue
		}
		found.node.Mtime, found.node.Atime = times.mtime, times.atime
		if note := a.implicit[found.node]; note != nil {
			note.timed = true
		}
	}
	return nil
}
