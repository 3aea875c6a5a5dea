package ebs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

var (
	errAborted = errors.New("the upload was aborted")
	errSealed  = errors.New("the upload was completed already")
)

// Upload is a snapshot that is being written. Its methods are safe for concurrent use, but nothing may be
// written once Complete was called.
type Upload struct {
	// SnapshotID is "snap-" and hexadecimal digits.
	SnapshotID string

	client *Client
	blocks int64
	// appearsBy is until when AWS may deny that the snapshot exists.
	appearsBy time.Time

	// ctx ends at the first failure, which is its cause, so that all other puts end too.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// buffers holds one buffer per worker, nil until it is first needed. Who has one may put.
	buffers chan []byte
	puts    sync.WaitGroup

	mu     sync.Mutex
	sums   map[int64][sha256.Size]byte
	sealed bool
}

func (c *Client) newUpload(ctx context.Context, id string, volumeSize int64) *Upload {
	upload := &Upload{
		SnapshotID: id,
		client:     c,
		blocks:     volumeSize * blocksPerGiB,
		appearsBy:  c.options.Clock.Now().Add(AppearsWithin),
		buffers:    make(chan []byte, c.options.Workers),
		sums:       map[int64][sha256.Size]byte{},
	}
	upload.ctx, upload.cancel = context.WithCancelCause(ctx)
	for range c.options.Workers {
		upload.buffers <- nil
	}
	return upload
}

// WriteBlock sends the block with this index, of BlockSize bytes and with this SHA-256. It copies the data and
// returns while the block is under way, after waiting for a free worker. The first block that fails ends the
// upload: its error is returned by the calls that follow.
//
// A block of zeros is sent like any other: over a parent's block it erases. The caller writes what differs from
// the parent, or from zeros without one.
func (u *Upload) WriteBlock(ctx context.Context, index int64, data []byte, sum [sha256.Size]byte) error {
	if len(data) != BlockSize || index < 0 || index >= u.blocks {
		return fmt.Errorf("writing block %d of snapshot %s: it has %d bytes of %d, and the volume %d blocks",
			index, u.SnapshotID, len(data), BlockSize, u.blocks)
	}
	var buffer []byte
	select {
	case <-ctx.Done():
		return fmt.Errorf("writing block %d of snapshot %s: %w", index, u.SnapshotID, context.Cause(ctx))
	case <-u.ctx.Done():
		return context.Cause(u.ctx)
	case buffer = <-u.buffers:
	}
	if err := u.claim(index, sum); err != nil {
		u.buffers <- buffer
		return err
	}
	buffer = append(buffer[:0], data...)
	go func() {
		defer u.puts.Done()
		if err := u.put(index, buffer, sum); err != nil {
			u.cancel(err)
		}
		// The SDK lets go of a body when its call returns, so the buffer is free even after a lost attempt.
		u.buffers <- buffer
	}()
	return nil
}

// claim notes the block's checksum. An index is written once: what AWS counts for a second time is unknown.
func (u *Upload) claim(index int64, sum [sha256.Size]byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := context.Cause(u.ctx); err != nil {
		return err
	}
	if u.sealed {
		return fmt.Errorf("writing block %d of snapshot %s: %w", index, u.SnapshotID, errSealed)
	}
	if _, twice := u.sums[index]; twice {
		return fmt.Errorf("writing block %d of snapshot %s: it was written before", index, u.SnapshotID)
	}
	u.sums[index] = sum
	u.puts.Add(1)
	return nil
}

func (u *Upload) put(index int64, data []byte, sum [sha256.Size]byte) error {
	retryer := u.client.patient(u.appearsBy)
	retryer.limiter = u.client.puts
	_, err := u.client.ebs.PutSnapshotBlock(u.ctx, &ebs.PutSnapshotBlockInput{
		SnapshotId:        aws.String(u.SnapshotID),
		BlockIndex:        aws.Int32(int32(index)),
		BlockData:         bytes.NewReader(data),
		DataLength:        aws.Int32(BlockSize),
		Checksum:          aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		ChecksumAlgorithm: types.ChecksumAlgorithmChecksumAlgorithmSha256,
	}, func(o *ebs.Options) { o.Retryer = retryer })
	if err != nil {
		return fmt.Errorf("writing block %d of snapshot %s: %w", index, u.SnapshotID, err)
	}
	return nil
}

// Complete waits for all blocks and seals the snapshot. It returns once AWS has accepted that; the snapshot is
// pending until AWS has stored it, minutes later, and Describe says completed.
func (u *Upload) Complete(ctx context.Context) error {
	u.mu.Lock()
	u.sealed = true
	u.mu.Unlock()
	u.puts.Wait()
	if err := context.Cause(u.ctx); err != nil {
		return err
	}
	if err := u.seal(ctx); err != nil {
		return fmt.Errorf("completing snapshot %s: %w", u.SnapshotID, err)
	}
	// As the cause of the context's end it tells Abort that there is nothing left to undo.
	u.cancel(errSealed)
	return nil
}

func (u *Upload) seal(ctx context.Context) error {
	checksum := linearChecksum(u.sums)
	retryer := u.client.patient(u.appearsBy)
	_, err := u.client.ebs.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{
		SnapshotId:                aws.String(u.SnapshotID),
		ChangedBlocksCount:        aws.Int32(int32(len(u.sums))),
		Checksum:                  aws.String(base64.StdEncoding.EncodeToString(checksum[:])),
		ChecksumAlgorithm:         types.ChecksumAlgorithmChecksumAlgorithmSha256,
		ChecksumAggregationMethod: types.ChecksumAggregationMethodChecksumAggregationLinear,
	}, func(o *ebs.Options) { o.Retryer = retryer })
	var refused *types.ValidationException
	if !errors.As(err, &refused) || !retryer.outcomeUnknown.Load() {
		return err
	}
	// An earlier attempt of this very call may have sealed it, and AWS now refuses to do so twice.
	snapshot, lookErr := u.client.Describe(ctx, u.SnapshotID)
	if lookErr != nil || snapshot.State == StateError {
		return err
	}
	return nil
}

// linearChecksum is the SHA-256 over the raw digests of the written blocks, in the order of their indexes.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebsapis-using-checksums.html
func linearChecksum(sums map[int64][sha256.Size]byte) [sha256.Size]byte {
	all := make([]byte, 0, len(sums)*sha256.Size)
	for _, index := range slices.Sorted(maps.Keys(sums)) {
		sum := sums[index]
		all = append(all, sum[:]...)
	}
	return sha256.Sum256(all)
}

// Abort ends the upload and deletes its snapshot, even when ctx was cancelled. After a successful Complete it
// does nothing, so that it can be deferred.
func (u *Upload) Abort(ctx context.Context) error {
	u.cancel(errAborted)
	u.puts.Wait()
	if errors.Is(context.Cause(u.ctx), errSealed) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), AppearsWithin+u.client.options.AttemptTimeout)
	defer cancel()
	// A snapshot started moments ago may seem not to exist. Believing that would leave it behind.
	retryer := u.client.patient(u.appearsBy)
	_, err := u.client.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(u.SnapshotID)},
		func(o *ec2.Options) { o.Retryer = retryer })
	return deleteError(u.SnapshotID, err)
}
