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
	Images []image.Image
	// Size is in GiB; 0 computes it.
	Size   int64
	Layers Layers
	// Create begins an output for a disk of size GiB.
	Create func(ctx context.Context, size int64) (Output, error)
	// Progress is told how many of the layers' compressed bytes were read; from several goroutines.
	Progress func(read, total int64)
}

// Make plans, writes and completes a volume; on an error nothing of it is left. A computed size that turns
// out too small is doubled, once.
// Errors: those of NewPlan and Build, and of the output.
func Make(ctx context.Context, request Request) (*Result, error) {
	plan, err := NewPlan(request.Images, request.Size)
	if err != nil {
		return nil, err
	}
	result, err := makeOnce(ctx, plan, request)
	if err == nil || request.Size != 0 || !isFull(err) {
		return result, err
	}
	plan, err = NewPlan(request.Images, 2*plan.Size/gib)
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
	output, err := request.Create(ctx, plan.Size/gib)
	if err != nil {
		return nil, err
	}
	result, err := Build(ctx, plan, request.Layers, output, func(read int64) {
		request.Progress(read, plan.LayerBytes)
	})
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
