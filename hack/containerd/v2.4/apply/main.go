// Command apply unpacks a layer's tar from standard input into a directory, by containerd's own code and with the
// options that its diff service has for the overlayfs snapshotter (core/diff/apply/apply_linux.go):
//
//	apply DIRECTORY [LOWER...]
//
// The directories of the layers below are named nearest first; the bottom layer has none.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/containerd/v2/pkg/archive"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apply:", err)
		os.Exit(1)
	}
}

func run(directories []string) error {
	if len(directories) == 0 {
		return errors.New("the directory to unpack to is missing")
	}
	var options []archive.ApplyOpt
	if lower := directories[1:]; len(lower) > 0 {
		options = append(options, archive.WithConvertWhiteout(archive.OverlayConvertWhiteout), archive.WithParents(lower))
	}
	if _, err := archive.Apply(context.Background(), directories[0], os.Stdin, options...); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
