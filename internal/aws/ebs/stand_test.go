package ebs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	clocktesting "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// stand is a fake AWS and a client of it that share a clock. Waiting between attempts moves the clock by five
// seconds and takes no time.
type stand struct {
	*fakeaws.Server
	client *ebs.Client
	// options are the client's.
	options ebs.Options
	clock   *clocktesting.FakePassiveClock
	waits   atomic.Int32
}

func newStand(t *testing.T, server fakeaws.Options, client ebs.Options) *stand {
	t.Helper()
	s := &stand{clock: clocktesting.NewFakePassiveClock(epoch)}
	server.Clock = s.clock
	client.Clock = s.clock
	client.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) {
		s.clock.SetTime(epoch.Add(time.Duration(s.waits.Add(1)) * 5 * time.Second))
		return 0, nil
	})
	s.Server = fakeaws.NewForTest(t, server)
	s.options = client
	s.client = ebs.New(s.Config(), client)
	return s
}

// in returns a client of the same account in another Region.
func (s *stand) in(region string) *ebs.Client {
	return ebs.New(larderaws.InRegion(s.Config(), region), s.options)
}

var input = ebs.StartInput{
	VolumeSize:  1,
	Tags:        map[string]string{ebs.TagClusterUID: "cluster", ebs.TagObjectUID: "object", "Name": "larder"},
	Description: "two images",
	Attempt:     1,
}

// blockOf returns a block that no other number has.
func blockOf(number byte) []byte {
	return bytes.Repeat([]byte{number, 0xa5, ^number, 7}, ebs.BlockSize/4)
}

func write(t *testing.T, upload *ebs.Upload, index int64, data []byte) {
	t.Helper()
	if err := upload.WriteBlock(t.Context(), index, data, sha256.Sum256(data)); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, s *stand) *ebs.Upload {
	t.Helper()
	upload, err := s.client.Start(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	return upload
}

// upload writes these blocks and one of zeros.
func upload(t *testing.T, s *stand, blocks map[int64]byte) (id string) {
	t.Helper()
	upload := start(t, s)
	write(t, upload, 1000, make([]byte, ebs.BlockSize))
	for index, number := range blocks {
		write(t, upload, index, blockOf(number))
	}
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	return upload.SnapshotID
}

// send writes so many blocks and seals the snapshot.
func send(ctx context.Context, upload *ebs.Upload, blocks int64) error {
	for index := range blocks {
		data := blockOf(byte(index + 1))
		if err := upload.WriteBlock(ctx, index, data, sha256.Sum256(data)); err != nil {
			return err
		}
	}
	return upload.Complete(ctx)
}

// checkBlocks reads these blocks of a snapshot back, and each one's neighbours.
func checkBlocks(t *testing.T, s *stand, id string, blocks map[int64]byte) {
	t.Helper()
	reader, err := s.client.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if reader.Size() != 1<<30 {
		t.Errorf("the disk has %d bytes, want 1 GiB", reader.Size())
	}
	got, zeros := make([]byte, ebs.BlockSize), make([]byte, ebs.BlockSize)
	for written := range blocks {
		for index := max(0, written-1); index <= min(reader.Size()/ebs.BlockSize-1, written+1); index++ {
			want := zeros
			if number, ok := blocks[index]; ok {
				want = blockOf(number)
			}
			if n, err := reader.ReadAt(got, index*ebs.BlockSize); err != nil || n != len(got) {
				t.Fatalf("reading block %d: %d bytes, %v", index, n, err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("block %d differs from what was written", index)
			}
		}
	}
}
