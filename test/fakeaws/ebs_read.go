package fakeaws

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
)

// Limits of https://docs.aws.amazon.com/ebs/latest/APIReference/API_ListSnapshotBlocks.html
const (
	minBlocksPerPage = 100
	maxBlocksPerPage = 10000
	blockTokenLife   = 7 * 24 * time.Hour
	pageTokenLife    = time.Hour
)

// token is what is inside the opaque tokens of blocks and of pages.
type token struct {
	Use      string
	Snapshot string
	// Index is the block's, or the first one of the page.
	Index   int32
	Expires time.Time
}

func (t token) String() string {
	// A struct of plain fields always encodes.
	raw, _ := json.Marshal(t)
	return base64.StdEncoding.EncodeToString(raw)
}

func parseToken(text string) token {
	var t token
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &t) != nil {
		return token{}
	}
	return t
}

// readable returns a snapshot that can be read. It is called with the lock held.
func (s *Server) readable(region, id string) (*snapshot, error) {
	if !snapshotID.MatchString(id) {
		return nil, validation("INVALID_SNAPSHOT_ID", "The snapshot ID %q is malformed.", id)
	}
	found, ok := s.visible(region, id)
	if !ok {
		return nil, notFound(id)
	}
	if state, _ := s.stateOf(found); state != stateCompleted {
		return nil, validation("INVALID_SNAPSHOT_ID", "The snapshot %s is %s, not completed.", id, state)
	}
	if found.archived {
		return nil, validation("INVALID_SNAPSHOT_ID", "The snapshot %s is archived.", id)
	}
	return found, nil
}

func (s *Server) listSnapshotBlocks(region string, in *ebs.ListSnapshotBlocksInput, _ []byte) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.readable(region, aws.ToString(in.SnapshotId))
	if err != nil {
		return answer{}, err
	}
	contents := found.contents()
	page, next, err := s.page("blocks", found.id, contents, in.MaxResults, in.NextToken, in.StartingBlockIndex)
	if err != nil {
		return answer{}, err
	}
	expires := s.options.Clock.Now().Add(blockTokenLife)
	blocks := []map[string]any{}
	for _, index := range page {
		blocks = append(blocks, map[string]any{
			"BlockIndex": index,
			"BlockToken": token{Use: "block", Snapshot: found.id, Index: index, Expires: expires}.String(),
		})
	}
	return listAnswer("Blocks", blocks, found, expires, next)
}

func (s *Server) listChangedBlocks(region string, in *ebs.ListChangedBlocksInput, _ []byte) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	second, err := s.readable(region, aws.ToString(in.SecondSnapshotId))
	if err != nil {
		return answer{}, err
	}
	first := &snapshot{lineage: second.lineage}
	if in.FirstSnapshotId != nil {
		if first, err = s.readable(region, *in.FirstSnapshotId); err != nil {
			return answer{}, err
		}
	}
	if first.lineage != second.lineage {
		return answer{}, validation("UNRELATED_SNAPSHOTS", "The snapshots %s and %s are not of one lineage.", first.id, second.id)
	}
	before, after := first.contents(), second.contents()
	changed := maps.Clone(after)
	maps.DeleteFunc(changed, func(index int32, sum digest) bool {
		old, ok := before[index]
		return ok && old == sum
	})
	page, next, err := s.page("changedblocks", second.id, changed, in.MaxResults, in.NextToken, in.StartingBlockIndex)
	if err != nil {
		return answer{}, err
	}
	expires := s.options.Clock.Now().Add(blockTokenLife)
	blocks := []map[string]any{}
	for _, index := range page {
		block := map[string]any{
			"BlockIndex":       index,
			"SecondBlockToken": token{Use: "block", Snapshot: second.id, Index: index, Expires: expires}.String(),
		}
		if _, ok := before[index]; ok {
			block["FirstBlockToken"] = token{Use: "block", Snapshot: first.id, Index: index, Expires: expires}.String()
		}
		blocks = append(blocks, block)
	}
	return listAnswer("ChangedBlocks", blocks, second, expires, next)
}

// page returns the indexes of one page in order, and the token of the next one.
func (s *Server) page(use, id string, blocks map[int32]digest, limit *int32, after *string, from *int32) ([]int32, string, error) {
	size := int(aws.ToInt32(limit))
	if limit == nil {
		size = maxBlocksPerPage
	}
	if size < minBlocksPerPage || size > maxBlocksPerPage {
		return nil, "", validation("INVALID_PARAMETER_VALUE", "MaxResults %d is not within %d and %d.", size, minBlocksPerPage, maxBlocksPerPage)
	}
	now := s.options.Clock.Now()
	next := token{Use: use, Snapshot: id, Expires: now.Add(pageTokenLife)}
	start := aws.ToInt32(from)
	if after != nil {
		given := parseToken(*after)
		if given.Use != use || given.Snapshot != id || now.After(given.Expires) {
			return nil, "", validation("INVALID_PAGE_TOKEN", "The page token is invalid or has expired.")
		}
		start = given.Index
	} else if s.options.EmptyPages {
		next.Index = start
		return nil, next.String(), nil
	}
	indexes := slices.Sorted(maps.Keys(blocks))
	first, _ := slices.BinarySearch(indexes, start)
	indexes = indexes[first:]
	if len(indexes) <= size {
		return indexes, "", nil
	}
	next.Index = indexes[size]
	return indexes[:size], next.String(), nil
}

func listAnswer(name string, blocks []map[string]any, of *snapshot, expires time.Time, next string) (answer, error) {
	fields := map[string]any{
		name:         blocks,
		"VolumeSize": of.size,
		"BlockSize":  blockSize,
		"ExpiryTime": epochSeconds(expires),
	}
	if next != "" {
		fields["NextToken"] = next
	}
	return jsonAnswer(fields)
}

func (s *Server) getSnapshotBlock(region string, in *ebs.GetSnapshotBlockInput, _ []byte) (answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.readable(region, aws.ToString(in.SnapshotId))
	if err != nil {
		return answer{}, err
	}
	index := aws.ToInt32(in.BlockIndex)
	given := parseToken(aws.ToString(in.BlockToken))
	if given.Use != "block" || given.Snapshot != found.id || given.Index != index || s.options.Clock.Now().After(given.Expires) {
		return answer{}, validation("INVALID_BLOCK_TOKEN", "The block token is invalid or has expired.")
	}
	sum, ok := found.block(index)
	if !ok {
		return answer{}, validation("INVALID_BLOCK", "The snapshot %s has no block %d.", found.id, index)
	}
	data, err := s.blocks.read(sum)
	if err != nil {
		return answer{}, err
	}
	return answer{body: data, header: http.Header{
		"Content-Type": {"application/octet-stream"},
		http.CanonicalHeaderKey("x-amz-Data-Length"):        {strconv.Itoa(blockSize)},
		http.CanonicalHeaderKey("x-amz-Checksum"):           {sum.base64()},
		http.CanonicalHeaderKey("x-amz-Checksum-Algorithm"): {"SHA256"},
	}}, nil
}
