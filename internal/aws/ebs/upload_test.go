package ebs_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

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
	if puts := s.Calls("PutSnapshotBlock"); puts != 5 {
		t.Errorf("%d blocks were sent; 5 were written, one of zeros", puts)
	}
	checkBlocks(t, s, id, blocks)
}

func TestStartIsIdempotent(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	other := input
	other.Description = "of the images that were"
	before, err := s.client.Start(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	parent := before.SnapshotID
	first := start(t, s)
	again := start(t, s)
	if first.SnapshotID != again.SnapshotID {
		t.Errorf("the same input started %s and %s", first.SnapshotID, again.SnapshotID)
	}
	for reason, change := range map[string]func(*ebs.StartInput){
		"another size":        func(i *ebs.StartInput) { i.VolumeSize = 2 },
		"another tag":         func(i *ebs.StartInput) { i.Tags = map[string]string{"Name": "other"} },
		"another description": func(i *ebs.StartInput) { i.Description = "other" },
		"a parent":            func(i *ebs.StartInput) { i.ParentSnapshotID = parent },
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
	for index := range int64(20) {
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
