package fakeaws_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/test/fakeaws"
)

const blockSize = 512 << 10

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// account has the SDK's clients, unmodified but for retries, which the tests count themselves.
type account struct {
	t     *testing.T
	ebs   *ebs.Client
	ec2   *ec2.Client
	clock *clocktesting.FakePassiveClock
	cfg   aws.Config
	*fakeaws.Server
}

func newAccount(t *testing.T, options fakeaws.Options) *account {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(epoch)
	options.Clock = clock
	server := fakeaws.NewForTest(t, options)
	return accountOf(t, server, clock)
}

func accountOf(t *testing.T, server *fakeaws.Server, clock *clocktesting.FakePassiveClock) *account {
	cfg := server.Config()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return &account{t: t, ebs: ebs.NewFromConfig(cfg), ec2: ec2.NewFromConfig(cfg), clock: clock, cfg: cfg, Server: server}
}

// in returns the same account in another Region.
func (a *account) in(region string) *account {
	there := *a
	there.cfg.Region = region
	there.ebs, there.ec2 = ebs.NewFromConfig(there.cfg), ec2.NewFromConfig(there.cfg)
	return &there
}

func (a *account) pass(d time.Duration) { a.clock.SetTime(a.clock.Now().Add(d)) }

func (a *account) start(in *ebs.StartSnapshotInput) string {
	a.t.Helper()
	out, err := a.ebs.StartSnapshot(a.t.Context(), in)
	if err != nil {
		a.t.Fatal(err)
	}
	if out.Status != types.StatusPending || aws.ToInt32(out.BlockSize) != blockSize || !aws.ToTime(out.StartTime).Equal(a.clock.Now()) {
		a.t.Errorf("StartSnapshot answered %+v", out)
	}
	return aws.ToString(out.SnapshotId)
}

func block(number byte) []byte { return bytes.Repeat([]byte{number}, blockSize) }

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func putInput(id string, index int32, data []byte) *ebs.PutSnapshotBlockInput {
	return &ebs.PutSnapshotBlockInput{
		SnapshotId: aws.String(id), BlockIndex: aws.Int32(index), BlockData: bytes.NewReader(data), DataLength: aws.Int32(int32(len(data))),
		Checksum: aws.String(checksum(data)), ChecksumAlgorithm: types.ChecksumAlgorithmChecksumAlgorithmSha256,
	}
}

func (a *account) put(id string, index int32, data []byte) {
	a.t.Helper()
	out, err := a.ebs.PutSnapshotBlock(a.t.Context(), putInput(id, index, data))
	if err != nil {
		a.t.Fatal(err)
	}
	if aws.ToString(out.Checksum) != checksum(data) {
		a.t.Errorf("PutSnapshotBlock answered %+v", out)
	}
}

func (a *account) complete(id string, count int32) {
	a.t.Helper()
	_, err := a.ebs.CompleteSnapshot(a.t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: aws.String(id), ChangedBlocksCount: aws.Int32(count)})
	if err != nil {
		a.t.Fatal(err)
	}
}

// snapshot makes a completed one of 1 GiB that has these blocks.
func (a *account) snapshot(parent string, blocks map[int32]byte) string {
	a.t.Helper()
	in := &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)}
	if parent != "" {
		in.ParentSnapshotId = aws.String(parent)
	}
	id := a.start(in)
	for index, number := range blocks {
		a.put(id, index, block(number))
	}
	a.complete(id, int32(len(blocks)))
	return id
}

// contents lists a snapshot and reads every block of it.
func (a *account) contents(id string) map[int32]byte {
	a.t.Helper()
	read := map[int32]byte{}
	pages := ebs.NewListSnapshotBlocksPaginator(a.ebs, &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String(id), MaxResults: aws.Int32(100)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		if aws.ToInt64(page.VolumeSize) != 1 || aws.ToInt32(page.BlockSize) != blockSize {
			a.t.Errorf("ListSnapshotBlocks answered %+v", page)
		}
		for _, listed := range page.Blocks {
			read[*listed.BlockIndex] = a.get(id, *listed.BlockIndex, *listed.BlockToken)
		}
	}
	return read
}

func (a *account) get(id string, index int32, token string) byte {
	a.t.Helper()
	out, err := a.ebs.GetSnapshotBlock(a.t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: aws.String(id), BlockIndex: aws.Int32(index), BlockToken: aws.String(token)})
	if err != nil {
		a.t.Fatal(err)
	}
	data, err := io.ReadAll(out.BlockData)
	if err != nil {
		a.t.Fatal(err)
	}
	if len(data) != blockSize || aws.ToInt32(out.DataLength) != blockSize || aws.ToString(out.Checksum) != checksum(data) {
		a.t.Fatalf("block %d has %d bytes, said to be %d", index, len(data), aws.ToInt32(out.DataLength))
	}
	return data[0]
}

func (a *account) state(id string) string {
	a.t.Helper()
	out, err := a.ec2.DescribeSnapshots(a.t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		a.t.Fatal(err)
	}
	return string(out.Snapshots[0].State)
}

// wantError checks code and, for the EBS direct API, reason.
func wantError(t *testing.T, err error, code, reason string) {
	t.Helper()
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != code {
		t.Errorf("error %v, want %s", err, code)
		return
	}
	got := ""
	var invalid *types.ValidationException
	var absent *types.ResourceNotFoundException
	var denied *types.AccessDeniedException
	switch {
	case errors.As(err, &invalid):
		got = string(invalid.Reason)
	case errors.As(err, &absent):
		got = string(absent.Reason)
	case errors.As(err, &denied):
		got = string(denied.Reason)
	}
	if got != reason {
		t.Errorf("reason %q, want %q: %v", got, reason, err)
	}
}
