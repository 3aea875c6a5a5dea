package main

import "github.com/larder-dev/larder/internal/volume"

// format is a flag that takes one of the volumes' formats.
type format volume.Format

// Set implements pflag.Value.
func (f *format) Set(text string) error {
	parsed, err := volume.ParseFormat(text)
	*f = format(parsed)
	return err
}

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }
