package fakeaws

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
)

func (s *Server) putSnapshotBlock(region string, in *ebs.PutSnapshotBlockInput, data []byte) (answer, error) {
	sum := digest(sha256.Sum256(data))
	switch {
	case len(data) != blockSize || aws.ToInt32(in.DataLength) != blockSize:
		return answer{}, validation("INVALID_PARAMETER_VALUE", "The block has %d bytes and is said to have %d, not %d.", len(data), aws.ToInt32(in.DataLength), blockSize)
	case in.ChecksumAlgorithm != types.ChecksumAlgorithmChecksumAlgorithmSha256:
		return answer{}, validation("INVALID_PARAMETER_VALUE", "The checksum algorithm %q is not SHA256.", in.ChecksumAlgorithm)
	case aws.ToString(in.Checksum) != sum.base64():
		return answer{}, validation("INVALID_PARAMETER_VALUE", "The checksum does not match the block data.")
	case in.Progress != nil && (*in.Progress < 0 || *in.Progress > 100):
		return answer{}, validation("INVALID_PARAMETER_VALUE", "The progress is no percentage.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.writable(region, aws.ToString(in.SnapshotId))
	if err != nil {
		return answer{}, err
	}
	index := aws.ToInt32(in.BlockIndex)
	if index < 0 || int64(index) >= target.blockCount() {
		return answer{}, validation("INVALID_BLOCK", "The block index %d is outside of the volume.", index)
	}
	if err := s.blocks.hold(sum, data); err != nil {
		return answer{}, err
	}
	if before, ok := target.written[index]; ok {
		if err := s.blocks.release(before); err != nil {
			return answer{}, err
		}
	}
	target.written[index] = sum
	target.touchedAt = s.options.Clock.Now()
	return answer{header: http.Header{
		http.CanonicalHeaderKey("x-amz-Checksum"):           {sum.base64()},
		http.CanonicalHeaderKey("x-amz-Checksum-Algorithm"): {"SHA256"},
	}}, nil
}

// writable returns a snapshot that takes blocks. It is called with the lock held.
func (s *Server) writable(region, id string) (*snapshot, error) {
	if !snapshotID.MatchString(id) {
		return nil, validation("INVALID_SNAPSHOT_ID", "The snapshot ID %q is malformed.", id)
	}
	target, ok := s.visible(region, id)
	if !ok {
		return nil, notFound(id)
	}
	if target.owner != s.options.AccountID {
		return nil, otherAccount(id)
	}
	if state, _ := s.stateOf(target); state != statePending || !target.sealedAt.IsZero() {
		return nil, validation("INVALID_SNAPSHOT_ID", "The snapshot %s was completed or has failed.", id)
	}
	return target, nil
}

func (s *Server) completeSnapshot(region string, in *ebs.CompleteSnapshotInput, _ []byte) (answer, error) {
	if in.ChangedBlocksCount == nil || *in.ChangedBlocksCount < 0 {
		return answer{}, validation("INVALID_PARAMETER_VALUE", "ChangedBlocksCount is absent or negative.")
	}
	if in.Checksum != nil && (in.ChecksumAlgorithm != types.ChecksumAlgorithmChecksumAlgorithmSha256 ||
		in.ChecksumAggregationMethod != types.ChecksumAggregationMethodChecksumAggregationLinear) {
		return answer{}, validation("INVALID_PARAMETER_VALUE", "A checksum must be SHA256, aggregated LINEAR.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target, err := s.writable(region, aws.ToString(in.SnapshotId))
	if err != nil {
		return answer{}, err
	}
	target.sealedAt = s.options.Clock.Now()
	target.storedIn = s.options.PendingFor
	switch {
	case int(*in.ChangedBlocksCount) != len(target.written):
		target.failure = "The number of changed blocks does not match the blocks that were written."
	case in.Checksum != nil && *in.Checksum != linear(target.written).base64():
		target.failure = "The checksum does not match the blocks that were written."
	}
	return jsonAnswer(map[string]any{"Status": statePending})
}

// linear aggregates checksums as the method of that name: over the raw digests in the order of their indexes.
func linear(written map[int32]digest) digest {
	aggregate := sha256.New()
	for _, index := range slices.Sorted(maps.Keys(written)) {
		sum := written[index]
		aggregate.Write(sum[:])
	}
	return digest(aggregate.Sum(nil))
}
