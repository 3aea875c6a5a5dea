package tree

// Extent is a run of 4 KiB filesystem blocks.
type Extent struct {
	Start, Count uint32
}

// Extents are runs of blocks in the order of a file's bytes, without gaps. A single one, as nearly all files have,
// needs no memory of its own.
type Extents struct {
	first Extent
	// rest is nil unless there are several.
	rest *[]Extent
}

// NewExtents keeps a list of extents.
func NewExtents(list []Extent) Extents {
	var e Extents
	if len(list) > 0 {
		e.first = list[0]
	}
	if len(list) > 1 {
		rest := list[1:]
		e.rest = &rest
	}
	return e
}

// List returns the extents in a slice of its own.
func (e Extents) List() []Extent {
	if e.first.Count == 0 && e.rest == nil {
		return nil
	}
	list := []Extent{e.first}
	if e.rest != nil {
		list = append(list, *e.rest...)
	}
	return list
}
