// Command rebuild measures what a changed set of images costs upon its last snapshot, beside a full build and beside
// the bounds that Larder promises. It fails when bytes or blocks are over their bound; time it only reports.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/bench"
)

// setMB is the size of the set unless BENCH_MB says otherwise.
const setMB = 2000

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-rebuild:", err)
		os.Exit(1)
	}
}

// measured is one build and what it may cost.
type measured struct {
	Name string `json:"name"`
	bench.Build
	Blocks int64 `json:"blocks"`
	// Bound is nil for the full build.
	Bound *bench.Bound `json:"bound,omitempty"`
	// WithinBytes and Within say whether bytes and blocks, and all, are within their bounds.
	WithinBytes bool `json:"withinBytes"`
	Within      bool `json:"within"`
}

func run(ctx context.Context) (err error) {
	megabytes, err := bench.Megabytes(setMB)
	if err != nil {
		return err
	}
	machine := bench.ThisMachine()
	b, err := bench.Start(megabytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()

	built, err := b.Send(ctx, bench.Images(), "")
	if err != nil {
		return err
	}
	all := []measured{{Name: "full", Build: built, Blocks: built.Written / volume.BlockSize, WithinBytes: true, Within: true}}
	for _, change := range bench.Changes() {
		result, err := rebuild(ctx, b, change, built)
		if err != nil {
			return fmt.Errorf("%s: %w", change.Name, err)
		}
		all = append(all, result)
	}
	report := bench.Report{
		Title:  fmt.Sprintf("A set of %d MB, compressed, and changes upon its snapshot (%s)", megabytes, machine),
		Tables: [][]string{rows(all)},
		JSON:   map[string]any{"benchmark": "rebuild", "megabytes": megabytes, "machine": machine, "builds": all},
	}
	if err := report.Print(os.Stdout); err != nil {
		return err
	}
	return judge(all)
}

func rebuild(ctx context.Context, b *bench.Bench, change bench.Change, full bench.Build) (measured, error) {
	built, err := b.Send(ctx, change.Images, full.SnapshotID)
	if err != nil {
		return measured{}, err
	}
	if built.WithoutParent != "" {
		return measured{}, fmt.Errorf("it was built without the parent: %s", built.WithoutParent)
	}
	parent, err := b.AWS.Open(ctx, full.SnapshotID)
	if err != nil {
		return measured{}, err
	}
	child, err := b.AWS.Open(ctx, built.SnapshotID)
	if err != nil {
		return measured{}, err
	}
	bound, err := bench.NewBound(change, b.Registry.RegistryFacts, parent, child, full.Usage)
	if err != nil {
		return measured{}, err
	}
	result := measured{Name: change.Name, Build: built, Blocks: built.Written / volume.BlockSize, Bound: &bound}
	result.WithinBytes = built.Fetched.Layers+built.Fetched.Documents <= bound.FetchedBytes && result.Blocks <= bound.Blocks
	result.Within = result.WithinBytes && built.Wall <= bound.WallSeconds
	return result, b.AWS.Delete(ctx, built.SnapshotID)
}

func rows(all []measured) []string {
	full := all[0]
	share := func(part, whole float64) string { return fmt.Sprintf("%.1f %%", 100*part/whole) }
	lines := []string{"build\tlayers kept\tfetched MB\tof full\tbound\tblocks\tof full\tbound\twall s\tof full\tbound\tCPU s\tof full\tpeak RSS MiB\twithin"}
	for _, m := range all {
		fetched := m.Fetched.Layers + m.Fetched.Documents
		bounds, within := [3]string{}, ""
		if m.Bound != nil {
			bounds = [3]string{bench.MB(m.Bound.FetchedBytes), fmt.Sprint(m.Bound.Blocks), fmt.Sprintf("%.2f", m.Bound.WallSeconds)}
			within = map[bool]string{true: "yes", false: "NO"}[m.Within]
		}
		lines = append(lines, fmt.Sprintf("%s\t%d/%d\t%s\t%s\t%s\t%d\t%s\t%s\t%.2f\t%s\t%s\t%.2f\t%s\t%d\t%s",
			m.Name, m.KeptLayers, m.Layers,
			bench.MB(fetched), share(float64(fetched), float64(full.Fetched.Layers+full.Fetched.Documents)), bounds[0],
			m.Blocks, share(float64(m.Blocks), float64(full.Blocks)), bounds[1],
			m.Wall, share(m.Wall, full.Wall), bounds[2],
			m.CPU, share(m.CPU, full.CPU), m.PeakRSS>>20, within))
	}
	return lines
}

// judge fails for what does not depend on how busy the machine is.
func judge(all []measured) error {
	var problems []error
	for _, m := range all {
		if !m.WithinBytes {
			problems = append(problems, fmt.Errorf("%s: more was fetched or written than its bound", m.Name))
		}
	}
	return errors.Join(problems...)
}
