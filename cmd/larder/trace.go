package main

import (
	"fmt"
	"io"
	"os"

	"github.com/larder-dev/larder/internal/volume"
)

// readTrace reads the file of that name; it is nil for no name.
func readTrace(name string) (*volume.Trace, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the trace: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, volume.MaxTraceSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the trace: %w", err)
	}
	trace, err := volume.ParseTrace(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return trace, nil
}
