package warm_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/warm"
)

const mib = 1 << 20

func TestNewListMergesAndDropsRepeats(t *testing.T) {
	got := warm.NewList([]int64{4, 5, 6, 5, 0, 7, 8, 4, 3})
	want := warm.List{
		{Offset: 2 * mib, Length: 3 * mib / 2},
		{Offset: 0, Length: mib / 2},
		{Offset: 7 * mib / 2, Length: mib},
		{Offset: 3 * mib / 2, Length: mib / 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	if got.Blocks() != 7 {
		t.Errorf("it has %d blocks, want 7", got.Blocks())
	}
}

func TestParseReadsWhatEncodeWrites(t *testing.T) {
	want := warm.NewList([]int64{9, 1, 2, 3, 0})
	got, err := warm.Parse(want.Encode(), 5*mib)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text, wants, reason string
	}{
		"another version":    {"larder-hot 2\n0 524288\n", "this release reads", "its lines may mean something else"},
		"no list":            {"", "this release reads", "an empty file is no list"},
		"too long":           {"larder-hot 1\n" + strings.Repeat(" ", warm.MaxListSize), "more than", "memory is bounded"},
		"words":              {"larder-hot 1\nall of it\n", "line 2", "an error names the line"},
		"a blank line":       {"larder-hot 1\n\n", "line 2", "nothing writes one"},
		"one number":         {"larder-hot 1\n524288\n", "line 2", "a length is missing"},
		"a part of a block":  {"larder-hot 1\n0 4096\n", "whole blocks", "EBS fetches whole ones"},
		"an odd offset":      {"larder-hot 1\n4096 524288\n", "whole blocks", "one length would touch two blocks"},
		"before the start":   {"larder-hot 1\n-524288 524288\n", "whole blocks", "there is nothing"},
		"nothing":            {"larder-hot 1\n0 0\n", "whole blocks", "endless lists would pass the bound on their length"},
		"a negative length":  {"larder-hot 1\n524288 -524288\n", "whole blocks", "it would lengthen what is left"},
		"beyond the end":     {"larder-hot 1\n1048576 524288\n", "beyond", "the filesystem ends there"},
		"an overflow":        {"larder-hot 1\n524288 9223372036854251520\n", "beyond", "the sum of both is negative"},
		"the same for ever":  {"larder-hot 1\n" + strings.Repeat("0 524288\n", 3), "longer than the filesystem", "reading must end"},
		"a number too large": {"larder-hot 1\n0 99999999999999999999\n", "not an offset", "it does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := warm.Parse([]byte(c.text), mib)
			if err == nil || !strings.Contains(err.Error(), c.wants) {
				t.Errorf("Parse returned %v and the error %v, want one with %q: %s", list, err, c.wants, c.reason)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(warm.NewList([]int64{9, 1, 2, 3, 0}).Encode())
	f.Add([]byte("larder-hot 1\n0 9223372036854251520\n"))
	f.Add([]byte("larder-hot 1\n-0 +524288"))
	f.Fuzz(func(t *testing.T, text []byte) {
		const size = 64 * mib
		list, err := warm.Parse(text, size)
		if err != nil {
			return
		}
		var sum int64
		for _, r := range list {
			if r.Offset < 0 || r.Length <= 0 || r.Offset > size-r.Length || r.Offset%warm.BlockSize != 0 || r.Length%warm.BlockSize != 0 {
				t.Fatalf("%q: the range %+v was taken", text, r)
			}
			sum += r.Length
		}
		if sum > size || list.Blocks()*warm.BlockSize != sum {
			t.Fatalf("%q: %d bytes and %d blocks were taken for a filesystem of %d bytes", text, sum, list.Blocks(), size)
		}
		again, err := warm.Parse(list.Encode(), size)
		if diff := cmp.Diff(list, again); err != nil || diff != "" {
			t.Fatalf("%q: read again it is another list: %v\n%s", text, err, diff)
		}
	})
}
