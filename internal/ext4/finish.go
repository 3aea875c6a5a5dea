package ext4

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/larder-dev/larder/internal/tree"
)

const lostFoundName = "lost+found"

// Finish completes the filesystem. It writes the tree that begins at the filesystem's root, and whose files
// were stored through meta, through that last region, and closes it. The anchor is a directory in that tree; those of its children that WriteTree
// wrote are linked, and every root that WriteTree wrote must be among them.
func (w *Writer) Finish(ctx context.Context, meta *Region, root, anchor *tree.Node) error {
	if err := meta.begin(ctx); err != nil {
		return err
	}
	if meta.number != len(w.regions)-1 {
		return meta.lost("finishing", errors.New("the filesystem is finished through its last region"))
	}
	if err := meta.waitTurn(ctx); err != nil {
		return meta.lost("waiting to finish", err)
	}
	if err := meta.writeTop(ctx, root, anchor); err != nil {
		return meta.lost("writing the filesystem's root", err)
	}
	if err := meta.Close(ctx); err != nil {
		return err
	}
	if !w.pruned {
		if _, err := w.Prune(ctx, nil); err != nil {
			return meta.lost("erasing the inodes of removed files", err)
		}
	}
	blocks, inodes := w.blockBitmap(), w.inodeBitmap()
	if err := w.eraseChunks(ctx, inodes); err != nil {
		return meta.lost("erasing the inodes of removed files", err)
	}
	if err := w.writeFixed(ctx, blocks, inodes); err != nil {
		return meta.lost("writing the filesystem's metadata", err)
	}
	return nil
}

func (r *Region) writeTop(ctx context.Context, root, anchor *tree.Node) error {
	top := r.withLostFound(root)
	p, err := newPlan(top, anchor, r.writer.roots)
	if err != nil {
		return err
	}
	p.parent = rootInode
	if p.places[anchor] == 0 {
		return errors.New("the anchor has to be a directory below the root")
	}
	if linked, written := len(p.linked), len(r.writer.roots); linked != written {
		return fmt.Errorf("%d trees were written, and the anchor directory has %d of them", written, linked)
	}
	claimed, err := r.claim(p)
	if err != nil {
		return err
	}
	if err := r.numberTop(p, top, anchor); err != nil {
		return err
	}
	if err := r.writeOwnInodes(ctx); err != nil {
		return err
	}
	if err := r.writeEntries(ctx, p, xattrEncoder{}); err != nil {
		return err
	}
	// The first inodes, which have no names, belong to the root's tree as well.
	r.finishTree(p, claimed, span{Start: 1, Count: lostFoundInode - 1})
	return nil
}

// withLostFound returns a root that has a lost+found; e2fsck has no place for what it finds otherwise.
func (r *Region) withLostFound(root *tree.Node) *tree.Node {
	if _, there := root.Children[lostFoundName]; there {
		return root
	}
	top := *root
	top.Children = maps.Clone(root.Children)
	if top.Children == nil {
		top.Children = map[string]*tree.Node{}
	}
	top.Children[lostFoundName] = tree.NewDirectory(0o700, r.writer.options.Time)
	return &top
}

// ReserveInodes takes the chunks of inodes for the tree that Finish will write through this last region, and
// returns them as runs of inode numbers: a layout record among the tree's files can then name them. Count is the
// number of inodes in that tree, without the roots of regions; Finish fails when it has more. It waits for the
// region's turn, and fails with *OutOfInodes when the filesystem is full.
func (r *Region) ReserveInodes(ctx context.Context, count int64) ([]Range, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := r.waitTurn(ctx); err != nil {
		return nil, r.lost("waiting to reserve inodes", err)
	}
	if err := r.reserveTop(count); err != nil {
		return nil, r.lost("reserving inodes", err)
	}
	return convert[Range](r.top), nil
}

// reserveTop begins with the filesystem's first chunk of inodes, which no other region can have.
func (r *Region) reserveTop(count int64) error {
	if r.top != nil {
		return errors.New("the inodes of the filesystem's root are reserved already")
	}
	r.inodes.free = []Range{{Start: anchorInode + 1, Count: inodesPerChunk - anchorInode}}
	if err := r.reserveInodes(count); err != nil {
		return err
	}
	r.top = []span{{Start: 1, Count: inodesPerChunk}}
	for _, numbers := range r.inodes.free[1:] {
		r.top = append(r.top, span(numbers))
	}
	r.top = join(r.top)
	return nil
}

// numberTop gives the filesystem's first inodes their fixed numbers, and the ones after the anchor to the rest.
func (r *Region) numberTop(p *plan, root, anchor *tree.Node) error {
	fixed := map[*tree.Node]uint32{root: rootInode, root.Children[lostFoundName]: lostFoundInode, anchor: anchorInode}
	if len(fixed) != 3 || !root.Children[lostFoundName].IsDirectory() {
		return errors.New("the root, lost+found and the anchor have to be three directories")
	}
	need := int64(len(p.entries) - len(fixed))
	if r.top == nil {
		if err := r.reserveTop(need); err != nil {
			return err
		}
	}
	if have := r.inodes.unused(); need > have {
		return fmt.Errorf("the root's tree has %d inodes more than were reserved", need-have)
	}
	numbers, err := r.numberInodes(need)
	if err != nil {
		return err
	}
	for n, number := range fixed {
		p.entries[p.places[n]].number = number
	}
	p.number(numbers)
	return nil
}

// writeOwnInodes writes the inodes of files without a name: the journal and the reserved descriptor blocks.
func (r *Region) writeOwnInodes(ctx context.Context) error {
	r.into = &r.blocks // the journal may need an extent tree
	now := tree.NewTime(r.writer.options.Time)
	own := inode{mode: tree.TypeRegular | 0o600, links: 1, atime: now, mtime: now, changed: now}

	resize := own
	resize.size, resize.blocks = resizeInodeSize, r.writer.geometry.resizeBlocks()
	le.PutUint32(resize.mapping[doubleIndirect*4:], resizeIndexBlock)
	if err := r.inodes.write(ctx, r.writer.to, resizeInode, &resize); err != nil {
		return err
	}

	journal := own
	journal.size = journalBlocks * BlockSize
	if err := r.mapBlocks(ctx, &journal, journalExtents()); err != nil {
		return err
	}
	return r.inodes.write(ctx, r.writer.to, journalInode, &journal)
}
