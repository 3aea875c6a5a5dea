package volume

import (
	"context"
	"errors"
	"fmt"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/layer"
)

// Output is a disk that comes into being as a whole or not at all.
type Output interface {
	Disk
	// Complete makes what was written last; nothing may be written after it.
	Complete(ctx context.Context) error
	// Abort removes what was written. It works although ctx is cancelled.
	Abort(ctx context.Context) error
}

// Request is what to make a volume of.
type Request struct {
	// Format is the default one if empty.
	Format Format
	Images []image.Image
	// Size is in GiB; 0 computes it.
	Size   int64
	Layers Layers
	// Trace has the files that are laid together, since containers read them when they start; nil for none.
	Trace *Trace
	// Parent is an earlier volume whose unchanged layers are neither read nor written; nil for none.
	Parent *Parent
	// Create begins an output for a disk of size GiB: all zero, or with all that parent has if that is not nil. A
	// ParentError makes the build go on without the parent.
	Create func(ctx context.Context, size int64, parent RawDisk) (Output, error)
	// Progress is told how many of the layers' compressed bytes were read; from several goroutines.
	Progress func(read, total int64)
}

// Result says what a build wrote.
type Result struct {
	Layout *Layout
	// Blocks counts the blocks of 512 KiB that were written.
	Blocks int64
	// Layers counts the layers, and Kept those of them that stayed where the parent has them.
	Layers, Kept int
	// LayerBytes counts the compressed bytes of layers that were read.
	LayerBytes int64
	// WithoutParent is why the parent was not used, nil if it was or there was none.
	WithoutParent error
}

// Make plans, writes and completes a volume; on an error nothing of it is left. A parent that cannot be used, or
// that has too little room left, is done without. A computed size that turns out too small is doubled, once.
// Errors: LayerError, TooSmallError, FormatError, ext4's out of blocks and out of inodes, and those of layers and
// output.
func Make(ctx context.Context, request Request) (*Result, error) {
	kind, err := kindOf(request.Format)
	if err != nil {
		return nil, err
	}
	var without error
	if request.Parent != nil {
		result, err := kind.makeUpon(ctx, request)
		if err == nil || !isParents(err) {
			return result, err
		}
		without = fmt.Errorf("parent %s %w", request.Parent.Name, err)
	}
	result, err := kind.makeAnew(ctx, request)
	if err != nil {
		return nil, err
	}
	result.WithoutParent = without
	return result, nil
}

// isParents tells whether a build without the parent may succeed.
func isParents(err error) bool {
	var parent *ParentError
	return errors.As(err, &parent)
}

func (k *kind) makeUpon(ctx context.Context, request Request) (*Result, error) {
	if k.alwaysInFull != "" {
		return nil, &ParentError{Err: errors.New(k.alwaysInFull)}
	}
	base, err := k.openBase(ctx, request.Parent)
	if err != nil {
		return nil, err
	}
	plan, err := newPlan(k, request.Images, request.Size, base, request.Trace)
	if err != nil {
		return nil, err
	}
	result, err := makeOnce(ctx, plan, request)
	if isFull(err) {
		return nil, &ParentError{Err: fmt.Errorf("it is full with what stays in place: %w", err)}
	}
	return result, err
}

func (k *kind) makeAnew(ctx context.Context, request Request) (*Result, error) {
	plan, err := newPlan(k, request.Images, request.Size, nil, request.Trace)
	if err != nil {
		return nil, err
	}
	result, err := makeOnce(ctx, plan, request)
	if err == nil || request.Size != 0 || !isFull(err) {
		return result, err
	}
	plan, err = newPlan(k, request.Images, 2*plan.Size/gib, nil, request.Trace)
	if err != nil {
		return nil, err
	}
	return makeOnce(ctx, plan, request)
}

func isFull(err error) bool {
	var blocks *ext4.OutOfBlocks
	var inodes *ext4.OutOfInodes
	var layers *layer.LimitError
	return errors.As(err, &blocks) || errors.As(err, &inodes) || errors.As(err, &layers)
}

func makeOnce(ctx context.Context, plan *Plan, request Request) (*Result, error) {
	output, err := request.Create(ctx, plan.Size/gib, plan.parent())
	if err != nil {
		return nil, err
	}
	result, err := write(ctx, plan, request.Layers, output, request.Progress)
	if err == nil {
		err = output.Complete(ctx)
	}
	if err != nil {
		if abortErr := output.Abort(ctx); abortErr != nil {
			err = fmt.Errorf("%w (and what was written could not be removed: %w)", err, abortErr)
		}
		return nil, err
	}
	return result, nil
}
