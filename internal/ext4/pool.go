package ext4

import (
	"fmt"
	"slices"
)

// pool keeps free chunks in ascending order, and gives the lowest first.
type pool struct{ free []span }

func (p *pool) available() int64 {
	var sum int64
	for _, s := range p.free {
		sum += int64(s.Count)
	}
	return sum
}

// take returns the lowest run of free chunks, at most count long; its count is zero when none is free.
func (p *pool) take(count uint32) span {
	if len(p.free) == 0 {
		return span{}
	}
	first := &p.free[0]
	taken := span{Start: first.Start, Count: min(count, first.Count)}
	first.Start += taken.Count
	first.Count -= taken.Count
	if first.Count == 0 {
		p.free = p.free[1:]
	}
	return taken
}

// give returns chunks that were taken.
func (p *pool) give(s span) {
	if s.Count == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(p.free, s.Start, func(free span, start uint32) int { return int(int64(free.Start) - int64(start)) })
	p.free = slices.Insert(p.free, i, s)
	if i+1 < len(p.free) && s.end() == p.free[i+1].Start {
		p.free[i].Count += p.free[i+1].Count
		p.free = slices.Delete(p.free, i+1, i+2)
	}
	if i > 0 && p.free[i-1].end() == p.free[i].Start {
		p.free[i-1].Count += p.free[i].Count
		p.free = slices.Delete(p.free, i, i+1)
	}
}

// takeAt takes given chunks, all or none.
func (p *pool) takeAt(chunks []span) error {
	rest, missing, ok := subtract(p.free, slices.Clone(chunks))
	if !ok {
		return fmt.Errorf("the chunks %d+%d are not free", missing.Start, missing.Count)
	}
	p.free = rest
	return nil
}

// remove takes out a span, whatever of it is there.
func (p *pool) remove(s span) {
	kept := make([]span, 0, len(p.free)+1)
	for _, free := range p.free {
		if before := min(free.end(), s.Start); before > free.Start {
			kept = append(kept, span{Start: free.Start, Count: before - free.Start})
		}
		if after := max(free.Start, s.end()); after < free.end() {
			kept = append(kept, span{Start: after, Count: free.end() - after})
		}
	}
	p.free = kept
}
