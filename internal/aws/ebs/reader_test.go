package ebs_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestReadAt(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	blocks := map[int64]byte{0: 1, 1: 2, 2047: 3}
	reader, err := s.client.Open(t.Context(), upload(t, s, blocks))
	if err != nil {
		t.Fatal(err)
	}
	const end = 1 << 30
	cases := map[string]struct {
		offset int64
		length int
		want   []byte
		err    error
	}{
		"inside a block":       {offset: 10, length: 100, want: blockOf(1)[10:110]},
		"over a boundary":      {offset: ebs.BlockSize - 3, length: 8, want: append(blockOf(1)[ebs.BlockSize-3:], blockOf(2)[:5]...)},
		"into what is unset":   {offset: 2*ebs.BlockSize - 2, length: 4, want: append(blockOf(2)[ebs.BlockSize-2:], 0, 0)},
		"up to the end":        {offset: end - 4, length: 4, want: blockOf(3)[ebs.BlockSize-4:]},
		"over the end":         {offset: end - 4, length: 9, want: blockOf(3)[ebs.BlockSize-4:], err: io.EOF},
		"beyond the end":       {offset: end + 1, length: 1, err: io.EOF},
		"three blocks at once": {offset: 0, length: 3 * ebs.BlockSize, want: append(append(blockOf(1), blockOf(2)...), make([]byte, ebs.BlockSize)...)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := make([]byte, c.length)
			n, err := reader.ReadAt(got, c.offset)
			if !errors.Is(err, c.err) || !bytes.Equal(got[:n], c.want) {
				t.Errorf("%d bytes, error %v, equal %v", n, err, bytes.Equal(got[:n], c.want))
			}
		})
	}
	if _, err := reader.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
	if gets := s.Calls("GetSnapshotBlock"); gets != 3 {
		t.Errorf("3 blocks were fetched %d times", gets)
	}
}

func TestConcurrentReads(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	blocks := map[int64]byte{}
	for index := range int64(20) {
		blocks[index] = byte(index + 1)
	}
	reader, err := s.client.Open(t.Context(), upload(t, s, blocks))
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for worker := range int64(3) {
		readers.Go(func() {
			for index := range int64(20) {
				index = (index + worker*7) % 20
				got := make([]byte, ebs.BlockSize)
				if _, err := reader.ReadAt(got, index*ebs.BlockSize); err != nil || !bytes.Equal(got, blockOf(blocks[index])) {
					t.Errorf("block %d differs, or %v", index, err)
				}
			}
		})
	}
	readers.Wait()
}

func TestReadersSideBySideFetchABlockOnce(t *testing.T) {
	release := make(chan struct{})
	s := newStand(t, fakeaws.Options{OnCall: func(action string) {
		if action == "GetSnapshotBlock" {
			<-release
		}
	}}, ebs.Options{})
	reader, err := s.client.Open(t.Context(), upload(t, s, map[int64]byte{0: 1}))
	if err != nil {
		t.Fatal(err)
	}
	var readers, begun sync.WaitGroup
	for at := range int64(8) {
		begun.Add(1)
		readers.Go(func() {
			begun.Done()
			got := make([]byte, 100)
			if _, err := reader.ReadAt(got, at*100); err != nil || !bytes.Equal(got, blockOf(1)[at*100:at*100+100]) {
				t.Errorf("bytes from %d differ, or %v", at*100, err)
			}
		})
	}
	begun.Wait()
	close(release)
	readers.Wait()
	if gets := s.Calls("GetSnapshotBlock"); gets != 1 {
		t.Errorf("one block was fetched %d times", gets)
	}
}

func TestTheReadersCacheIsBounded(t *testing.T) {
	const kept = 16
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	blocks := map[int64]byte{}
	for index := range int64(kept + 1) {
		blocks[index] = byte(index + 1)
	}
	reader, err := s.client.Open(t.Context(), upload(t, s, blocks))
	if err != nil {
		t.Fatal(err)
	}
	// One block more than are kept; then the newest, the oldest that is left, and the one that had to go.
	for _, index := range []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 1, 0} {
		if _, err := reader.ReadAt(make([]byte, 1), index*ebs.BlockSize); err != nil {
			t.Fatal(err)
		}
	}
	if gets := s.Calls("GetSnapshotBlock"); gets != kept+2 {
		t.Errorf("%d blocks were fetched for %d and one that was dropped", gets, kept+1)
	}
}

func TestAPendingSnapshotIsNotRead(t *testing.T) {
	s := newStand(t, fakeaws.Options{PendingFor: time.Minute}, ebs.Options{})
	id := upload(t, s, map[int64]byte{0: 1})
	if _, err := s.client.Open(t.Context(), id); err == nil {
		t.Error("a pending snapshot was opened")
	}
	s.clock.SetTime(epoch.Add(time.Minute))
	checkBlocks(t, s, id, map[int64]byte{0: 1})
}

func TestDamageThatStaysIsAnError(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	reader, err := s.client.Open(t.Context(), upload(t, s, map[int64]byte{0: 1}))
	if err != nil {
		t.Fatal(err)
	}
	s.Inject(fakeaws.Fault{Action: "GetSnapshotBlock", Kind: fakeaws.Corrupt})
	if _, err := reader.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("a block with a wrong checksum was given out")
	}
}
