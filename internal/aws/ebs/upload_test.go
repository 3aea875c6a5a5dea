package ebs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
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
	clock  *clocktesting.FakePassiveClock
	waits  atomic.Int32
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
	s.client = ebs.New(s.Config(), client)
	return s
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
	write(t, upload, 7, make([]byte, ebs.BlockSize))
	for index, number := range blocks {
		write(t, upload, index, blockOf(number))
	}
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	return upload.SnapshotID
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

func TestUploadIsReadBackByteForByte(t *testing.T) {
	s := newStand(t, fakeaws.Options{EmptyPages: true}, ebs.Options{Workers: 4})
	blocks := map[int64]byte{0: 1, 1: 2, 500: 3, 2047: 4}
	id := upload(t, s, blocks)
	snapshot, err := s.client.Describe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.State != ebs.StateCompleted || snapshot.VolumeSize != 1 || snapshot.Description != input.Description ||
		snapshot.Tags[ebs.TagObjectUID] != "object" || snapshot.Progress != "100%" || !snapshot.StartTime.Equal(epoch) {
		t.Errorf("Describe: %+v", snapshot)
	}
	if puts := s.Calls("PutSnapshotBlock"); puts != 4 {
		t.Errorf("%d blocks were sent; 4 are not zero", puts)
	}
	checkBlocks(t, s, id, blocks)
}

func TestFaultsAreSurvived(t *testing.T) {
	cases := map[string]struct {
		reason string
		server fakeaws.Options
		faults []fakeaws.Fault
	}{
		"throttle burst": {
			reason: "64 workers meet the account's rate limit together; that must slow down and not fail",
			faults: []fakeaws.Fault{
				{Action: "StartSnapshot", Kind: fakeaws.Throttle, Times: 3},
				{Action: "PutSnapshotBlock", Kind: fakeaws.Throttle, Times: 15},
				{Action: "CompleteSnapshot", Kind: fakeaws.Throttle, Times: 3},
				{Action: "ListSnapshotBlocks", Kind: fakeaws.Throttle, Times: 3},
				{Action: "GetSnapshotBlock", Kind: fakeaws.Throttle, Times: 3},
			},
		},
		"concurrency limit": {
			reason: "the SDK does not count this code among the throttles",
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.Error, Times: 2, Status: http.StatusBadRequest, Code: "ConcurrentLimitExceededException"}},
		},
		"server errors": {
			reason: "AWS asks to always retry a 5xx",
			faults: []fakeaws.Fault{
				{Action: "StartSnapshot", Kind: fakeaws.ServerError, Times: 2},
				{Action: "PutSnapshotBlock", Kind: fakeaws.ServerError, Times: 5},
				{Action: "CompleteSnapshot", Kind: fakeaws.ServerError, Times: 2},
				{Action: "GetSnapshotBlock", Kind: fakeaws.ServerError, Times: 2},
			},
		},
		"lost StartSnapshot answer": {
			reason: "the snapshot exists; the same token must find it",
			faults: []fakeaws.Fault{{Action: "StartSnapshot", Kind: fakeaws.LostResponse, Times: 1}},
		},
		"lost block answers": {
			reason: "a block is written again with the same content",
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.LostResponse, Times: 3}},
		},
		"lost CompleteSnapshot answer": {
			reason: "the snapshot is sealed; that AWS refuses to seal it again is no failure",
			faults: []fakeaws.Fault{{Action: "CompleteSnapshot", Kind: fakeaws.LostResponse, Times: 1}},
		},
		"stuck calls": {
			reason: "an attempt that never ends must be given up and made again",
			faults: []fakeaws.Fault{
				{Action: "PutSnapshotBlock", Kind: fakeaws.Stuck, Times: 1},
				{Action: "GetSnapshotBlock", Kind: fakeaws.Stuck, Times: 1},
			},
		},
		"damaged blocks": {
			reason: "the checksum of a block that is read must be verified, and the block asked for again",
			faults: []fakeaws.Fault{{Action: "GetSnapshotBlock", Kind: fakeaws.Corrupt, Times: 2}},
		},
		"not there yet": {
			reason: "a new snapshot may seem not to exist for two minutes",
			server: fakeaws.Options{HiddenCalls: 15},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.server, ebs.Options{Workers: 3, AttemptTimeout: time.Second})
			for _, fault := range c.faults {
				s.Inject(fault)
			}
			blocks := map[int64]byte{0: 1, 3: 2, 2047: 3}
			id := upload(t, s, blocks)
			checkBlocks(t, s, id, blocks)
			if snapshots := s.Snapshots(); len(snapshots) != 1 || snapshots[0].Written != 3 {
				t.Errorf("%s: %+v", c.reason, snapshots)
			}
		})
	}
}

func TestDeniedFailsAtOnce(t *testing.T) {
	cases := map[string]struct{ snapshots int }{
		"StartSnapshot":    {snapshots: 0},
		"PutSnapshotBlock": {snapshots: 1},
		"CompleteSnapshot": {snapshots: 1},
	}
	for action, c := range cases {
		t.Run(action, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{Denied: []string{action}}, ebs.Options{Workers: 1})
			err := func() error {
				upload, err := s.client.Start(t.Context(), input)
				if err != nil {
					return err
				}
				data := blockOf(1)
				if err := upload.WriteBlock(t.Context(), 0, data, sha256.Sum256(data)); err != nil {
					return err
				}
				return upload.Complete(t.Context())
			}()
			if !larderaws.IsAccessDenied(err) || larderaws.Classify(err) != larderaws.Stalled {
				t.Errorf("error %v is not one of access", err)
			}
			if calls := s.Calls(action); calls != 1 || s.waits.Load() != 0 {
				t.Errorf("%d calls and %d waits; no attempt after the first could succeed", calls, s.waits.Load())
			}
			if got := len(s.Snapshots()); got != c.snapshots {
				t.Errorf("%d snapshots, want %d", got, c.snapshots)
			}
		})
	}
}

func TestFirstFailureIsSticky(t *testing.T) {
	s := newStand(t, fakeaws.Options{Denied: []string{"PutSnapshotBlock"}}, ebs.Options{Workers: 1})
	upload := start(t, s)
	write(t, upload, 0, blockOf(1))
	data := blockOf(2)
	// With one worker the second block waits until the first has failed.
	err := upload.WriteBlock(t.Context(), 1, data, sha256.Sum256(data))
	if err == nil {
		err = upload.Complete(t.Context())
	}
	again := upload.Complete(t.Context())
	if !larderaws.IsAccessDenied(err) || !larderaws.IsAccessDenied(again) {
		t.Errorf("errors %v and %v, want the first block's", err, again)
	}
	if calls := s.Calls("CompleteSnapshot"); calls != 0 {
		t.Errorf("CompleteSnapshot was called %d times on a volume with a hole", calls)
	}
}

func TestRetriesEnd(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	s.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Throttle})
	_, err := s.client.Start(t.Context(), input)
	if !larderaws.IsThrottled(err) || larderaws.Classify(err) != larderaws.Wait {
		t.Errorf("error %v is no throttle", err)
	}
	if calls := s.Calls("StartSnapshot"); calls != 25 {
		t.Errorf("%d attempts, want one at once and one every 5 s for 2 minutes", calls)
	}
}

func TestStartIsIdempotent(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	first := start(t, s)
	again := start(t, s)
	if first.SnapshotID != again.SnapshotID {
		t.Errorf("the same input started %s and %s", first.SnapshotID, again.SnapshotID)
	}
	for reason, change := range map[string]func(*ebs.StartInput){
		"another size":        func(i *ebs.StartInput) { i.VolumeSize = 2 },
		"another tag":         func(i *ebs.StartInput) { i.Tags = map[string]string{"Name": "other"} },
		"another description": func(i *ebs.StartInput) { i.Description = "other" },
		"another attempt":     func(i *ebs.StartInput) { i.Attempt = 2 },
	} {
		other := input
		change(&other)
		upload, err := s.client.Start(t.Context(), other)
		if err != nil {
			t.Errorf("%s: %v", reason, err)
		} else if upload.SnapshotID == first.SnapshotID {
			t.Errorf("%s found the first snapshot", reason)
		}
	}
}

func TestTokenConflictSaysWhatToDo(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	s.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Error, Times: 1, Status: http.StatusConflict, Code: "ConflictException"})
	_, err := s.client.Start(t.Context(), input)
	if !larderaws.IsTokenConflict(err) {
		t.Errorf("error %v is no token conflict", err)
	}
	if calls := s.Calls("StartSnapshot"); calls != 1 {
		t.Errorf("%d calls; a conflict does not pass", calls)
	}
}

func TestWorkersBoundWhatIsInFlight(t *testing.T) {
	const workers = 8
	arrived := make(chan struct{}, 100)
	release := make(chan struct{})
	s := newStand(t, fakeaws.Options{OnCall: func(action string) {
		if action == "PutSnapshotBlock" {
			arrived <- struct{}{}
			<-release
		}
	}}, ebs.Options{Workers: workers})
	upload := start(t, s)
	for index := range int64(workers) {
		write(t, upload, index, blockOf(byte(index+1)))
	}
	for range workers {
		<-arrived
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := blockOf(99)
	if err := upload.WriteBlock(ctx, workers, data, sha256.Sum256(data)); !errors.Is(err, context.Canceled) {
		t.Errorf("a block was taken while all %d workers were busy: %v", workers, err)
	}
	close(release)
	for index := range int64(3 * workers) {
		write(t, upload, workers+index, blockOf(byte(workers+index+1)))
	}
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most := s.MostAtOnce("PutSnapshotBlock"); most != workers {
		t.Errorf("%d puts at once, want %d", most, workers)
	}
}

func TestCallerMayReuseItsBuffer(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{Workers: 4})
	upload := start(t, s)
	blocks := map[int64]byte{}
	buffer := make([]byte, ebs.BlockSize)
	for index := range int64(40) {
		copy(buffer, blockOf(byte(index+1)))
		blocks[index] = byte(index + 1)
		write(t, upload, index, buffer)
	}
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkBlocks(t, s, upload.SnapshotID, blocks)
}

func TestWrongUseOfAnUpload(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	upload := start(t, s)
	write(t, upload, 0, blockOf(1))
	for reason, c := range map[string]struct {
		index int64
		data  []byte
	}{
		"an index twice":        {0, blockOf(2)},
		"below the volume":      {-1, blockOf(2)},
		"beyond the volume":     {2048, blockOf(2)},
		"less than a block":     {1, blockOf(2)[1:]},
		"a zero block too late": {1 << 40, make([]byte, ebs.BlockSize)},
	} {
		if err := upload.WriteBlock(t.Context(), c.index, c.data, sha256.Sum256(c.data)); err == nil {
			t.Errorf("%s was accepted", reason)
		}
	}
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	data := blockOf(3)
	if err := upload.WriteBlock(t.Context(), 5, data, sha256.Sum256(data)); err == nil {
		t.Error("a block was accepted after Complete")
	}
	for _, size := range []int64{0, 65537} {
		if _, err := s.client.Start(t.Context(), ebs.StartInput{VolumeSize: size}); err == nil {
			t.Errorf("a volume of %d GiB was started", size)
		}
	}
}
