package volume

// The trees of all layers together need more memory than everything else, about 150 bytes for each file. A tree is
// let go when it is written and when all layers above have looked into it for what they inherit.

// countHeirs notes for each snapshot how many will look at its tree: itself, and all those above it.
func (b *build) countHeirs() {
	for i := range b.snapshots {
		b.snapshots[i].heirs.Add(1)
		for parent := b.snapshots[i].parent; parent >= 0; parent = b.snapshots[parent].parent {
			b.snapshots[parent].heirs.Add(1)
		}
	}
}

// looked says that a snapshot needs no tree any more, neither those below nor its own.
func (b *build) looked(i int) {
	for ; i >= 0; i = b.snapshots[i].parent {
		state := &b.snapshots[i]
		if state.heirs.Add(-1) > 0 || state.kept {
			continue
		}
		// The directory itself is still needed: it stands for what the filesystem's writer has written.
		state.lower, state.root.Children = nil, nil
	}
}
