package layer

import (
	"errors"
	"fmt"
)

// ErrContent is in the chain of every error that says the blob is not the layer it should be: another DiffID,
// a truncated or damaged stream, data after its end. Fetching the blob again may help.
var ErrContent = errors.New("the layer's content is not what it should be")

// EntryError says that an entry of the layer is unsafe, malformed or unsupported. Fetching the blob again
// does not help: the image has to be built differently.
type EntryError struct {
	// Entry is the name as the layer spells it.
	Entry string
	Err   error
}

// Error names the entry and what is wrong with it.
func (e *EntryError) Error() string { return fmt.Sprintf("layer entry %q: %v", e.Entry, e.Err) }

// Unwrap returns the cause.
func (e *EntryError) Unwrap() error { return e.Err }

// LimitError says that a layer unpacks to more than the volume that it is for. Where one file alone is too long,
// it is in an [EntryError].
type LimitError struct {
	// Limit is the volume's size in bytes.
	Limit int64
}

// Error says what may be the matter, with the limit in GiB.
func (e *LimitError) Error() string {
	return fmt.Sprintf("the layer unpacks to more than the volume's %.4g GiB: it is a decompression bomb, or the volume is too small",
		float64(e.Limit)/(1<<30))
}
