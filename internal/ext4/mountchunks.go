package ext4

// MountChunks returns the indexes of the chunks at fixed places that mounting a filesystem of the given size in
// bytes, growing it and the first writes to it read, in the order of their use. The errors are those of NewWriter
// about the size.
func MountChunks(size int64) ([]int64, error) {
	g, err := newGeometry(size)
	if err != nil {
		return nil, err
	}
	chunks := []int64{0, inodeChunkIndex(0), journalStart / blocksPerChunk}
	// The rest of the first window are the reserved descriptor blocks, which growing reads.
	for chunk := int64(1); chunk < windowBlocks/blocksPerChunk; chunk++ {
		chunks = append(chunks, chunk)
	}
	for flex := range g.flexGroups() {
		chunks = append(chunks, int64(flexStart(flex)/blocksPerChunk))
	}
	return chunks, nil
}
