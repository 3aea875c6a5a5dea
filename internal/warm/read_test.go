package warm_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/warm"
)

// device is one that holds each read until as many as it wants are in flight.
type device struct {
	size   int64
	gather int

	mu        sync.Mutex
	offsets   map[int64]int
	inFlight  int
	most      int
	assembled chan struct{}
	fail      error
}

func newDevice(size int64, gather int) *device {
	return &device{size: size, gather: gather, offsets: map[int64]int{}, assembled: make(chan struct{})}
}

func (d *device) ReadAt(p []byte, offset int64) (int, error) {
	d.mu.Lock()
	d.offsets[offset]++
	d.inFlight++
	d.most = max(d.most, d.inFlight)
	if len(d.offsets) == d.gather {
		close(d.assembled)
	}
	d.mu.Unlock()
	<-d.assembled
	d.mu.Lock()
	d.inFlight--
	d.mu.Unlock()
	if d.fail != nil {
		return 0, d.fail
	}
	if rest := d.size - offset; rest < int64(len(p)) {
		return int(rest), io.EOF
	}
	return len(p), nil
}

func TestReadTouchesEachBlockOnce(t *testing.T) {
	const parallel = 4
	device := newDevice(8*mib-4096, parallel)
	list := warm.NewList([]int64{3, 4, 5, 0, 15, 9, 10})
	got, err := warm.Read(t.Context(), device, list, parallel)
	if err != nil {
		t.Fatal(err)
	}
	// The last block of the filesystem is one page short.
	if want := (warm.Result{Blocks: 7, Bytes: 7*warm.BlockSize - 4096}); got != want {
		t.Errorf("Read returned %+v, want %+v", got, want)
	}
	want := map[int64]int{}
	for _, block := range []int64{3, 4, 5, 0, 15, 9, 10} {
		want[block*warm.BlockSize] = 1
	}
	if diff := cmp.Diff(want, device.offsets); diff != "" {
		t.Errorf("reads by offset (-want +got):\n%s", diff)
	}
	if device.most != parallel {
		t.Errorf("%d reads were in flight at most, want %d", device.most, parallel)
	}
}

func TestReadEndsAtTheFirstError(t *testing.T) {
	device := newDevice(64*mib, 1)
	device.fail = errors.New("broken disk")
	list := warm.List{{Offset: 0, Length: 64 * mib}}
	if _, err := warm.Read(t.Context(), device, list, 1); !errors.Is(err, device.fail) {
		t.Errorf("Read returned %v, want %v", err, device.fail)
	}
	if len(device.offsets) != 1 {
		t.Errorf("%d blocks were asked for, want 1: the others are on the same disk", len(device.offsets))
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	cancel(late)
	device := newDevice(mib, 1)
	if _, err := warm.Read(ctx, device, warm.List{{Offset: 0, Length: mib}}, 2); !errors.Is(err, late) {
		t.Errorf("Read returned %v, want %v", err, late)
	}
}

func TestOpenDeviceReadsWholeBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	content := make([]byte, mib)
	copy(content[warm.BlockSize:], "second block")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	device, err := warm.OpenDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if device.Size() != mib {
		t.Errorf("the device has %d bytes, want %d", device.Size(), mib)
	}
	got, err := warm.Read(t.Context(), device, warm.List{{Offset: 0, Length: mib}}, 2)
	if want := (warm.Result{Blocks: 2, Bytes: mib}); err != nil || got != want {
		t.Errorf("Read returned %+v and the error %v, want %+v", got, err, want)
	}
}
