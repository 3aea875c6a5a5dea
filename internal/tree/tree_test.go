package tree

import (
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// TestNodeIsSmall is about memory: a layer may have a million nodes, and Go's allocator has 80 bytes and then 96.
func TestNodeIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Node{}); size > 80 {
		t.Errorf("a node has %d bytes", size)
	}
}

func TestTime(t *testing.T) {
	var (
		first = time.Unix(-1<<31, 0).UTC()
		last  = time.Unix(1<<34-1<<31-1, 999_999_999).UTC()
	)
	for reason, c := range map[string]struct{ give, want time.Time }{
		"the first second, in 1901":    {first, first},
		"the nanosecond before 1970":   {time.Unix(-1, 999_999_999), time.Unix(-1, 999_999_999).UTC()},
		"the beginning of 1970":        {Time(0).Time(), time.Unix(0, 0).UTC()},
		"beyond 32 bits":               {time.Unix(1<<32, 1), time.Unix(1<<32, 1).UTC()},
		"the last nanosecond, in 2446": {last, last},
		"too early is the first":       {first.Add(-1), first},
		"too late is the last second":  {last.Add(1), last.Truncate(time.Second)},
		"Go's zero time is too early":  {time.Time{}, first},
		"any other zone is UTC":        {time.Unix(5, 6).In(time.FixedZone("", 3600)), time.Unix(5, 6).UTC()},
	} {
		if diff := cmp.Diff(c.want, NewTime(c.give).Time()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

func TestExtents(t *testing.T) {
	for reason, list := range map[string][]Extent{
		"an empty file has none":              nil,
		"a single one is kept without a list": {{Start: 0, Count: 1}},
		"several keep their order":            {{Start: 9, Count: 2}, {Start: 3, Count: 1}, {Start: 20, Count: 7}},
	} {
		if diff := cmp.Diff(list, NewExtents(list).List()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}

func TestDevice(t *testing.T) {
	node := &Node{Mode: TypeCharDev}
	for _, want := range [][2]uint32{{1, 3}, {0, 0}, {4095, 1<<20 - 1}} {
		node.SetDevice(want[0], want[1])
		if major, minor := node.Device(); major != want[0] || minor != want[1] {
			t.Errorf("got %d:%d, want %d:%d", major, minor, want[0], want[1])
		}
	}
}
