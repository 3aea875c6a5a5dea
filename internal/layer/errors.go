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
