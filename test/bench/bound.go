package bench

import "github.com/larder-dev/larder/internal/volume"

const (
	inodeBytes = 256
	// blocksPerLayer is what a new layer may need beside its own bytes and inodes: a block that it fills in part, and
	// a chunk of inodes that it fills in part. blocksBeside is for the filesystem's own tables, the directory of
	// snapshots and the layout record.
	blocksPerLayer = 2
	blocksBeside   = 24
	// fetchedPercent and wallPercent bound the bytes that are fetched, of the new layers' and the documents', and the
	// time, of the full build's.
	fetchedPercent = 110
	wallPercent    = 5
)

// Bound is what a change may cost.
type Bound struct {
	FetchedBytes int64   `json:"fetchedBytes"`
	Blocks       int64   `json:"blocks"`
	WallSeconds  float64 `json:"wallSeconds"`
}

// NewBound says what a change may cost that led from a parent to a child.
func NewBound(change Change, facts RegistryFacts, parent, child *Snapshot, full Usage) (Bound, error) {
	var fetched, documents, bytes int64
	for _, image := range change.Images {
		documents += facts.Documents[image.Name]
	}
	for _, name := range change.New {
		layer := facts.Layers[name]
		placed := child.layers[layer.Digest]
		fetched += layer.Size
		bytes += placed.Bytes + placed.Files*inodeBytes
	}
	for _, name := range change.Removed {
		bytes += parent.layers[facts.Layers[name].Digest].Files * inodeBytes
	}
	databases, err := child.ChangedDatabaseBlocks(parent)
	if err != nil {
		return Bound{}, err
	}
	return Bound{
		FetchedBytes: fetched*fetchedPercent/100 + documents,
		Blocks:       bytes/volume.BlockSize + blocksPerLayer*int64(len(change.New)) + databases + blocksBeside,
		WallSeconds:  full.Wall * wallPercent / 100,
	}, nil
}
