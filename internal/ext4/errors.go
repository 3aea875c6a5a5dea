package ext4

import "fmt"

const gibibyte = 1 << 30

// OutOfBlocks says that the filesystem has no room for the bytes it was given.
type OutOfBlocks struct {
	// Need is how many more bytes were asked for and Have how many were free.
	Need, Have int64
}

func (e *OutOfBlocks) Error() string {
	return fmt.Sprintf("the filesystem is out of blocks: %.3f GiB more needed, %.3f GiB free: make the volume larger",
		float64(e.Need)/gibibyte, float64(e.Have)/gibibyte)
}

// OutOfInodes says that the filesystem has no room for the number of files it was given.
type OutOfInodes struct {
	// Need is how many more inodes were asked for and Have how many were free.
	Need, Have int64
}

func (e *OutOfInodes) Error() string {
	return fmt.Sprintf("the filesystem is out of inodes: %d more needed, %d free: make the volume larger (each GiB has %d)",
		e.Need, e.Have, inodesPerGroup*gibibyte/(blocksPerGroup*BlockSize))
}

// UnstorableError says that ext4 cannot hold a file as it is: its name, type, link count, device number, symbolic
// link's target, extended attributes or, of a directory, the number of names.
type UnstorableError struct {
	// Path is the file's in its tree; where a name cannot be stored, its directory's.
	Path string
	Err  error
}

func (e *UnstorableError) Error() string {
	return fmt.Sprintf("ext4 cannot hold %s: %v", e.Path, e.Err)
}

// Unwrap returns what is wrong with the file.
func (e *UnstorableError) Unwrap() error { return e.Err }

// TooSmall says that a filesystem of this size cannot be made.
type TooSmall struct {
	// Need is the smallest possible size and Have the one asked for, in bytes.
	Need, Have int64
}

func (e *TooSmall) Error() string {
	return fmt.Sprintf("a filesystem of %.3f GiB is too small: at least %.3f GiB are needed",
		float64(e.Have)/gibibyte, float64(e.Need)/gibibyte)
}
