package ext4

import "slices"

// span is a run of chunks, of blocks or of inodes.
type span struct{ start, count uint32 }

func (s span) end() uint32 { return s.start + s.count }

// pool keeps free chunks in ascending order, and gives the lowest first.
type pool struct{ free []span }

func (p *pool) available() int64 {
	var sum int64
	for _, s := range p.free {
		sum += int64(s.count)
	}
	return sum
}

// take returns the lowest run of free chunks, at most count long; its count is zero when none is free.
func (p *pool) take(count uint32) span {
	if len(p.free) == 0 {
		return span{}
	}
	first := &p.free[0]
	taken := span{start: first.start, count: min(count, first.count)}
	first.start += taken.count
	first.count -= taken.count
	if first.count == 0 {
		p.free = p.free[1:]
	}
	return taken
}

// give returns chunks that were taken.
func (p *pool) give(s span) {
	if s.count == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(p.free, s.start, func(free span, start uint32) int { return int(int64(free.start) - int64(start)) })
	p.free = slices.Insert(p.free, i, s)
	if i+1 < len(p.free) && s.end() == p.free[i+1].start {
		p.free[i].count += p.free[i+1].count
		p.free = slices.Delete(p.free, i+1, i+2)
	}
	if i > 0 && p.free[i-1].end() == p.free[i].start {
		p.free[i-1].count += p.free[i].count
		p.free = slices.Delete(p.free, i, i+1)
	}
}

// remove takes out a span, whatever of it is there.
func (p *pool) remove(s span) {
	kept := make([]span, 0, len(p.free)+1)
	for _, free := range p.free {
		if before := min(free.end(), s.start); before > free.start {
			kept = append(kept, span{start: free.start, count: before - free.start})
		}
		if after := max(free.start, s.end()); after < free.end() {
			kept = append(kept, span{start: after, count: free.end() - after})
		}
	}
	p.free = kept
}
