package main

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// fileName is the only file's.
const fileName = "disk"

// root is the directory.
type root struct {
	fs.Inode
	disk *disk
}

// OnAdd puts the file into the directory.
func (r *root) OnAdd(ctx context.Context) {
	file := r.NewPersistentInode(ctx, &file{disk: r.disk}, fs.StableAttr{Mode: fuse.S_IFREG})
	r.AddChild(fileName, file, false)
}

// file is the disk as a file.
type file struct {
	fs.Inode
	disk *disk
}

var (
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeOnAdder   = (*root)(nil)
)

// Getattr gives the size.
func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = fuse.S_IFREG|0o600, uint64(f.disk.size)
	return 0
}

// Open needs no state.
func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) { return nil, 0, 0 }

// Read waits for the blocks and reads the image.
func (f *file) Read(_ context.Context, _ fs.FileHandle, dest []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	f.disk.touch(offset, len(dest))
	n, err := f.disk.image.ReadAt(dest, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

// Write waits for the blocks and writes to the image.
func (f *file) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	f.disk.touch(offset, len(data))
	n, err := f.disk.image.WriteAt(data, offset)
	return uint32(n), fs.ToErrno(err)
}

// Fsync does nothing: the image is not needed when the machine has crashed.
func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return 0 }
