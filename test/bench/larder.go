package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Build is one run of larder build.
type Build struct {
	Usage
	// SnapshotID is empty for a build to a file.
	SnapshotID string `json:"snapshotID"`
	// Fetched is what the registry sent for it.
	Fetched Served `json:"fetchedBytes"`
	// Written are bytes of blocks, KeptLayers those of Layers that stayed where the parent has them.
	Written       int64  `json:"written"`
	Layers        int    `json:"layers"`
	KeptLayers    int    `json:"keptLayers"`
	WithoutParent string `json:"withoutParent"`
}

// Bench has the processes around the measured ones.
type Bench struct {
	Registry *RegistryProcess
	AWS      *AWSProcess
	// Scratch is a directory on a disk, empty at first and gone in the end.
	Scratch string
}

// Start starts everything that is not measured, for a set of megabytes MB.
func Start(megabytes int64) (b *Bench, err error) {
	b = &Bench{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Stop())
		}
	}()
	if b.Scratch, err = os.MkdirTemp("", "larder-bench-"); err != nil {
		return b, fmt.Errorf("making a directory for scratch: %w", err)
	}
	blocks := filepath.Join(b.Scratch, "blocks")
	if err := os.Mkdir(blocks, 0o755); err != nil {
		return b, fmt.Errorf("making a directory for scratch: %w", err)
	}
	if b.Registry, err = StartRegistry(megabytes); err != nil {
		return b, err
	}
	b.AWS, err = StartAWS(blocks)
	return b, err
}

// Stop ends the processes and removes the scratch directory.
func (b *Bench) Stop() error {
	var problems []error
	if b.Registry != nil {
		problems = append(problems, b.Registry.Stop())
	}
	if b.AWS != nil {
		problems = append(problems, b.AWS.Stop())
	}
	return errors.Join(append(problems, os.RemoveAll(b.Scratch))...)
}

// Send runs larder build --snapshot, upon a parent unless that is empty.
func (b *Bench) Send(ctx context.Context, images []Image, parent string) (Build, error) {
	arguments := []string{"--snapshot"}
	if parent != "" {
		arguments = append(arguments, "--parent", parent)
	}
	return b.build(ctx, images, arguments...)
}

// WriteFile runs larder build --output.
func (b *Bench) WriteFile(ctx context.Context, images []Image, path string) (Build, error) {
	return b.build(ctx, images, "--output", path)
}

func (b *Bench) build(ctx context.Context, images []Image, arguments ...string) (Build, error) {
	before, err := b.Registry.Served(ctx)
	if err != nil {
		return Build{}, err
	}
	arguments = append([]string{"build", "--json"}, arguments...)
	for _, reference := range b.Registry.References(images) {
		arguments = append(arguments, "--image", reference)
	}
	environment := append([]string{"TMPDIR=" + b.Scratch}, b.AWS.Environment...)
	output, usage, err := measure(ctx, environment, "larder", arguments...)
	if err != nil {
		return Build{}, err
	}
	lines := bytes.Split(bytes.TrimSpace(output), []byte("\n"))
	build := Build{}
	if err := json.Unmarshal(lines[len(lines)-1], &build); err != nil {
		return Build{}, fmt.Errorf("reading larder's result: %w", err)
	}
	after, err := b.Registry.Served(ctx)
	if err != nil {
		return Build{}, err
	}
	build.Usage = usage
	build.Fetched = Served{Layers: after.Layers - before.Layers, Documents: after.Documents - before.Documents}
	return build, nil
}
