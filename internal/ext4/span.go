package ext4

import (
	"cmp"
	"slices"
)

// span is a run of chunks, of blocks or of inodes.
type span struct{ Start, Count uint32 }

func (s span) end() uint32 { return s.Start + s.Count }

// interval is a span by one of the names that it has outside: tree.Extent and Range.
type interval interface {
	~struct{ Start, Count uint32 }
}

func convert[To, From interval](from []From) []To {
	to := make([]To, len(from))
	for i := range from {
		to[i] = To(from[i])
	}
	return to
}

// appendRun adds a run, as a part of the last one where they meet.
func appendRun[R interval](runs []R, next R) []R {
	last := len(runs) - 1
	if last < 0 || span(runs[last]).end() != span(next).Start {
		return append(runs, next)
	}
	runs[last] = R(span{Start: span(runs[last]).Start, Count: span(runs[last]).Count + span(next).Count})
	return runs
}

func sortSpans(spans []span) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.Start, b.Start) })
}

// join returns spans in ascending order, one for those that meet or overlap, in the same memory.
func join(spans []span) []span {
	sortSpans(spans)
	joined := spans[:0]
	for _, s := range spans {
		last := len(joined) - 1
		if last < 0 || joined[last].end() < s.Start {
			joined = append(joined, s)
			continue
		}
		joined[last].Count = max(joined[last].end(), s.end()) - joined[last].Start
	}
	return joined
}

// cover returns the chunks that spans of numbers are in, when the first chunk begins at first and each has
// size of them.
func cover(spans []span, first, size uint32) []span {
	chunks := make([]span, 0, len(spans))
	for _, s := range spans {
		if s.Count == 0 {
			continue
		}
		start := (s.Start - first) / size
		chunks = append(chunks, span{Start: start, Count: (s.end()-first-1)/size + 1 - start})
	}
	return join(chunks)
}

// subtract returns what of one set of spans is not in another, in ascending order, and a span of the other that
// is not wholly in a single one of the first, if there is any: also one that overlaps another of its own set. It
// brings both into ascending order. Those of taken may be anything, even reach beyond the largest number.
func subtract(from, taken []span) (rest []span, missing span, ok bool) {
	sortSpans(from)
	sortSpans(taken)
	var head span // what is left of the last one of from
	for _, t := range taken {
		for head.end() <= t.Start && len(from) > 0 {
			if head.Count > 0 {
				rest = append(rest, head)
			}
			head, from = from[0], from[1:]
		}
		if t.Start < head.Start || t.Start-head.Start > head.Count || t.Count > head.Count-(t.Start-head.Start) {
			return nil, t, false
		}
		if before := t.Start - head.Start; before > 0 {
			rest = append(rest, span{Start: head.Start, Count: before})
		}
		head.Count -= t.Start - head.Start + t.Count
		head.Start = t.end()
	}
	if head.Count > 0 {
		rest = append(rest, head)
	}
	return append(rest, from...), span{}, true
}

// intersect returns what is in both of two sets of spans, in ascending order.
func intersect(a, b []span) (both []span) {
	a, b = join(slices.Clone(a)), join(slices.Clone(b))
	for len(a) > 0 && len(b) > 0 {
		start, end := max(a[0].Start, b[0].Start), min(a[0].end(), b[0].end())
		if start < end {
			both = append(both, span{Start: start, Count: end - start})
		}
		if a[0].end() == end {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}
