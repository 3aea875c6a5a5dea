package ext4

// Chunks returns the indexes of the chunks that the region's blocks and then its inodes are in, as they were
// handed to the ChunkWriter.
func (l Layout) Chunks() []int64 {
	var chunks []int64
	for _, run := range l.Blocks {
		for block := run.Start; block < run.Start+run.Count; block += blocksPerChunk {
			chunks = append(chunks, int64(block/blocksPerChunk))
		}
	}
	for _, run := range l.Inodes {
		for inode := run.Start - 1; inode < run.Start-1+run.Count; inode += inodesPerChunk {
			chunks = append(chunks, inodeChunkIndex(inode/inodesPerChunk))
		}
	}
	return chunks
}
