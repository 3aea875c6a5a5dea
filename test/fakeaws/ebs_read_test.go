package fakeaws_test

import (
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestListsHavePages(t *testing.T) {
	a := newAccount(t, fakeaws.Options{EmptyPages: true})
	blocks := map[int32]byte{}
	for index := range int32(203) {
		blocks[index*10] = byte(index % 7)
	}
	id := a.snapshot("", blocks)
	if diff := cmp.Diff(blocks, a.contents(id)); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if calls := a.Calls("ListSnapshotBlocks"); calls != 4 {
		t.Errorf("%d pages, want an empty one and three of up to 100", calls)
	}
	out, err := a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Blocks) != 0 || out.NextToken == nil {
		t.Errorf("the first page has %d blocks and the token %v", len(out.Blocks), out.NextToken)
	}
}

func TestListSnapshotBlocksRefuses(t *testing.T) {
	a := newAccount(t, fakeaws.Options{EmptyPages: true})
	id, other := a.snapshot("", map[int32]byte{0: 1}), a.snapshot("", map[int32]byte{0: 1})
	out, err := a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	if err != nil {
		t.Fatal(err)
	}
	next := out.NextToken
	_, err = a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id, MaxResults: aws.Int32(99)})
	wantError(t, err, "ValidationException", "INVALID_PARAMETER_VALUE")
	_, err = a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &other, NextToken: next})
	wantError(t, err, "ValidationException", "INVALID_PAGE_TOKEN")
	a.clock.SetTime(epoch.Add(time.Hour + 1))
	_, err = a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id, NextToken: next})
	wantError(t, err, "ValidationException", "INVALID_PAGE_TOKEN")
}

func TestBlockTokens(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id, other := a.snapshot("", map[int32]byte{0: 1, 1: 2}), a.snapshot("", map[int32]byte{0: 1})
	out, err := a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id, StartingBlockIndex: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Blocks) != 1 || *out.Blocks[0].BlockIndex != 1 || !out.ExpiryTime.Equal(epoch.Add(7*24*time.Hour)) {
		t.Fatalf("listing from block 1: %+v", out)
	}
	token := *out.Blocks[0].BlockToken
	get := func(id string, index int32, token string) error {
		_, err := a.ebs.GetSnapshotBlock(t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: &index, BlockToken: &token})
		return err
	}
	wantError(t, get(id, 0, token), "ValidationException", "INVALID_BLOCK_TOKEN")
	wantError(t, get(other, 1, token), "ValidationException", "INVALID_BLOCK_TOKEN")
	wantError(t, get(id, 1, "made up"), "ValidationException", "INVALID_BLOCK_TOKEN")
	if got := a.get(id, 1, token); got != 2 {
		t.Errorf("block 1 is of %d, want 2", got)
	}
	a.clock.SetTime(epoch.Add(7*24*time.Hour + 1))
	wantError(t, get(id, 1, token), "ValidationException", "INVALID_BLOCK_TOKEN")
}

func TestListChangedBlocks(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	parent := a.snapshot("", map[int32]byte{0: 1, 1: 2, 2: 3})
	child := a.snapshot(parent, map[int32]byte{0: 0, 1: 9, 2: 3, 5: 4})
	stranger := a.snapshot("", nil)
	out, err := a.ebs.ListChangedBlocks(t.Context(), &ebs.ListChangedBlocksInput{FirstSnapshotId: &parent, SecondSnapshotId: &child})
	if err != nil {
		t.Fatal(err)
	}
	type change struct{ before, after byte }
	got := map[int32]change{}
	for _, changed := range out.ChangedBlocks {
		found := change{after: a.get(child, *changed.BlockIndex, *changed.SecondBlockToken)}
		if changed.FirstBlockToken != nil {
			found.before = a.get(parent, *changed.BlockIndex, *changed.FirstBlockToken)
		}
		got[*changed.BlockIndex] = found
	}
	if diff := cmp.Diff(map[int32]change{0: {1, 0}, 1: {2, 9}, 5: {0, 4}}, got, cmp.AllowUnexported(change{})); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	_, err = a.ebs.ListChangedBlocks(t.Context(), &ebs.ListChangedBlocksInput{FirstSnapshotId: &stranger, SecondSnapshotId: &child})
	wantError(t, err, "ValidationException", "UNRELATED_SNAPSHOTS")
}

func TestBlocksOnDiskAreSharedAndDropped(t *testing.T) {
	dir := t.TempDir()
	a := newAccount(t, fakeaws.Options{Dir: dir})
	files := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	parent := a.snapshot("", map[int32]byte{0: 1, 1: 1, 2: 2})
	child := a.snapshot(parent, map[int32]byte{0: 3, 1: 2})
	if got := files(); got != 3 {
		t.Errorf("%d files for 3 distinct blocks", got)
	}
	if diff := cmp.Diff(map[int32]byte{0: 3, 1: 2, 2: 2}, a.contents(child)); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
	for _, step := range []struct {
		id   string
		left int
	}{{parent, 3}, {child, 0}} {
		if _, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &step.id}); err != nil {
			t.Fatal(err)
		}
		if got := files(); got != step.left {
			t.Errorf("%d files after deleting %s, want %d", got, step.id, step.left)
		}
	}
}
