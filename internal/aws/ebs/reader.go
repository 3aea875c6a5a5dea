package ebs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/lru"
)

var zeroBlock [BlockSize]byte

// cachedBlocks bounds what a Reader remembers: 8 MiB, since a filesystem's metadata is read in small pieces
// that lie together.
const cachedBlocks = 16

// Reader reads the disk that a snapshot holds. It is an io.ReaderAt, safe for concurrent use.
type Reader struct {
	ctx    context.Context
	client *Client
	id     string
	size   int64
	// tokens has the written blocks; AWS wants them back to give a block out, for seven days.
	tokens map[int64]string
	cache  *lru.Cache
	// gets are under way. Readers side by side want the same block of metadata at once.
	gets singleflight.Group
}

// Open lists the blocks of a completed snapshot. Reads are made under ctx.
func (c *Client) Open(ctx context.Context, id string) (*Reader, error) {
	reader := &Reader{ctx: ctx, client: c, id: id, tokens: map[int64]string{}, cache: lru.New(cachedBlocks)}
	// An empty page with a next token is legal; the paginator goes on until there is none.
	pages := ebs.NewListSnapshotBlocksPaginator(c.ebs, &ebs.ListSnapshotBlocksInput{
		SnapshotId: aws.String(id),
		MaxResults: aws.Int32(10000),
	})
	for pages.HasMorePages() {
		retryer := c.patient(time.Time{})
		page, err := pages.NextPage(ctx, func(o *ebs.Options) { o.Retryer = retryer })
		if err != nil {
			return nil, fmt.Errorf("listing the blocks of snapshot %s (only a completed one can be read): %w", id, err)
		}
		if size := aws.ToInt32(page.BlockSize); size != BlockSize {
			return nil, fmt.Errorf("listing the blocks of snapshot %s: they have %d bytes instead of %d", id, size, BlockSize)
		}
		reader.size = aws.ToInt64(page.VolumeSize) << 30
		for _, block := range page.Blocks {
			reader.tokens[int64(aws.ToInt32(block.BlockIndex))] = aws.ToString(block.BlockToken)
		}
	}
	return reader, nil
}

// Size returns the size of the disk in bytes.
func (r *Reader) Size() int64 { return r.size }

// Has tells whether the snapshot or a parent of it has the block with this index; others are zeros.
func (r *Reader) Has(index int64) bool {
	_, written := r.tokens[index]
	return written
}

// ReadAt reads from the disk. Blocks that neither the snapshot nor a parent of it has are zeros and cost no call.
func (r *Reader) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("reading snapshot %s at offset %d: it is negative", r.id, offset)
	}
	read := 0
	for read < len(p) {
		at := offset + int64(read)
		if at >= r.size {
			return read, io.EOF
		}
		within := at % BlockSize
		part := p[read:min(len(p), read+int(BlockSize-within))]
		block, err := r.block(at / BlockSize)
		if err != nil {
			return read, err
		}
		read += copy(part, block[within:])
	}
	return read, nil
}

// block returns a whole block, which the caller must not change.
func (r *Reader) block(index int64) ([]byte, error) {
	token, written := r.tokens[index]
	if !written {
		return zeroBlock[:], nil
	}
	data, err, _ := r.gets.Do(strconv.FormatInt(index, 10), func() (any, error) {
		if cached, ok := r.cache.Get(index); ok {
			return cached, nil
		}
		data, err := r.get(index, token)
		if err != nil {
			return nil, fmt.Errorf("reading block %d of snapshot %s: %w", index, r.id, err)
		}
		r.cache.Add(index, data)
		return data, nil
	})
	if err != nil {
		return nil, err
	}
	return data.([]byte), nil
}

func (r *Reader) get(index int64, token string) ([]byte, error) {
	retryer := r.client.patient(time.Time{})
	answer, err := r.client.ebs.GetSnapshotBlock(r.ctx, &ebs.GetSnapshotBlockInput{
		SnapshotId: aws.String(r.id),
		BlockIndex: aws.Int32(int32(index)),
		BlockToken: aws.String(token),
	}, func(o *ebs.Options) {
		o.Retryer = retryer
		o.APIOptions = append(o.APIOptions, receiveWithinAttempt)
	})
	if err != nil {
		return nil, err
	}
	return io.ReadAll(answer.BlockData)
}

// receiveWithinAttempt reads and checks the body inside the SDK's attempt. The SDK would hand out the stream
// and retry nothing that happens to it later, and a retry of ours around its own would be a second layer.
func receiveWithinAttempt(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("ReceiveBlock",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if err != nil {
				return out, metadata, err
			}
			answer, ok := out.Result.(*ebs.GetSnapshotBlockOutput)
			if !ok {
				return out, metadata, fmt.Errorf("receiving a block: the SDK answered %T", out.Result)
			}
			data, err := receive(answer)
			if err != nil {
				return out, metadata, err
			}
			answer.BlockData = io.NopCloser(bytes.NewReader(data))
			return out, metadata, nil
		}), middleware.Before)
}

func receive(answer *ebs.GetSnapshotBlockOutput) (data []byte, err error) {
	defer func() { err = errors.Join(err, answer.BlockData.Close()) }()
	data, err = io.ReadAll(io.LimitReader(answer.BlockData, BlockSize+1))
	if err != nil {
		return nil, &damagedBlockError{fmt.Errorf("receiving it: %w", err)}
	}
	if answer.ChecksumAlgorithm != types.ChecksumAlgorithmChecksumAlgorithmSha256 {
		return nil, fmt.Errorf("its checksum is of the unknown algorithm %q", answer.ChecksumAlgorithm)
	}
	sum := sha256.Sum256(data)
	if got := base64.StdEncoding.EncodeToString(sum[:]); len(data) != BlockSize || got != aws.ToString(answer.Checksum) {
		return nil, &damagedBlockError{fmt.Errorf("%d bytes arrived with SHA-256 %s, but AWS sent %s", len(data), got, aws.ToString(answer.Checksum))}
	}
	return data, nil
}

// damagedBlockError makes the SDK ask for the block again.
type damagedBlockError struct{ err error }

func (e *damagedBlockError) Error() string        { return e.err.Error() }
func (e *damagedBlockError) Unwrap() error        { return e.err }
func (e *damagedBlockError) RetryableError() bool { return true }
