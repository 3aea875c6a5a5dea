//go:build node

package pull_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/larder-dev/larder/test/bench"
)

const (
	// setMB and runs are what is measured unless BENCH_MB and BENCH_RUNS say otherwise.
	setMB = 1000
	runs  = 5
)

// The aims: shares of the pull, and bytes.
const (
	aimCPU     = 0.6
	aimWall    = 0.7
	aimPeakRSS = 256 << 20
	aimScratch = 64 << 20
)

// round is one run of each.
type round struct {
	Send bench.Build `json:"send"`
	File bench.Build `json:"file"`
	Pull pull        `json:"pull"`
}

// TestBuildBesidePull alternates what it compares, so that all meet the same moods of the machine.
func TestBuildBesidePull(t *testing.T) {
	megabytes, err := bench.Megabytes(setMB)
	if err != nil {
		t.Fatal(err)
	}
	count, err := bench.Runs(runs)
	if err != nil {
		t.Fatal(err)
	}
	machine := bench.ThisMachine()
	b, err := bench.Start(megabytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	var rounds []round
	for i := range count {
		t.Run(fmt.Sprintf("run %d", i+1), func(t *testing.T) { rounds = append(rounds, measure(t, b)) })
	}
	if t.Failed() {
		return
	}
	ratios := compare(rounds)
	report = bench.Report{
		Title:  fmt.Sprintf("A set of %d MB, compressed; medians of %d runs (%s)", megabytes, count, machine),
		Tables: [][]string{rows(rounds, ratios)},
		JSON: map[string]any{
			"benchmark": "build", "megabytes": megabytes, "machine": machine, "rounds": rounds, "ratios": ratios,
		},
	}
}

func measure(t *testing.T, b *bench.Bench) (r round) {
	scratch := func(name string) string { return filepath.Join(b.Scratch, name) }
	var err error
	sync(t, b.Scratch)
	if r.Send, err = b.Send(t.Context(), bench.Images(), ""); err != nil {
		t.Fatal(err)
	}
	if err := b.AWS.Delete(t.Context(), r.Send.SnapshotID); err != nil {
		t.Fatal(err)
	}
	sync(t, b.Scratch)
	r.Pull = pullAll(t, emptyDirectory(t, scratch("containerd")), b.Registry.References(bench.Images()))
	if err := os.RemoveAll(scratch("containerd")); err != nil {
		t.Fatal(err)
	}
	sync(t, b.Scratch)
	if r.File, err = b.WriteFile(t.Context(), bench.Images(), scratch("disk.img")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(scratch("disk.img")); err != nil {
		t.Fatal(err)
	}
	return r
}

func emptyDirectory(t *testing.T, path string) string {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// ratios are medians of the runs' own ratios, to the pull in the same run.
type ratios struct {
	SendCPU  float64 `json:"sendCPU"`
	SendWall float64 `json:"sendWall"`
	FileCPU  float64 `json:"fileCPU"`
	FileWall float64 `json:"fileWall"`
}

func compare(rounds []round) ratios {
	ratio := func(of func(round) float64) float64 { return median(rounds, of) }
	return ratios{
		SendCPU:  ratio(func(r round) float64 { return r.Send.CPU / r.Pull.CPU }),
		SendWall: ratio(func(r round) float64 { return r.Send.Wall / r.Pull.Wall }),
		FileCPU:  ratio(func(r round) float64 { return r.File.CPU / r.Pull.CPU }),
		FileWall: ratio(func(r round) float64 { return r.File.Wall / r.Pull.Wall }),
	}
}

func median(rounds []round, of func(round) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = of(r)
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func rows(rounds []round, to ratios) []string {
	row := func(name, cpuRatio, wallRatio string, of func(round) bench.Usage) string {
		return fmt.Sprintf("%s\t%.2f\t%s\t%.2f\t%s\t%.0f\t%.1f", name,
			median(rounds, func(r round) float64 { return of(r).CPU }), cpuRatio,
			median(rounds, func(r round) float64 { return of(r).Wall }), wallRatio,
			median(rounds, func(r round) float64 { return float64(of(r).PeakRSS) / (1 << 20) }),
			median(rounds, func(r round) float64 { return float64(of(r).DiskWrites) / (1 << 20) }))
	}
	two := func(ratio float64) string { return fmt.Sprintf("%.2f", ratio) }
	synced := median(rounds, func(r round) float64 { return r.Pull.SyncSeconds })
	return []string{
		"\tCPU s\tof the pull\twall s\tof the pull\tpeak RSS MiB\twritten to disk MiB",
		row("containerd pull", "", "", func(r round) bench.Usage { return r.Pull.Usage }),
		fmt.Sprintf("(and until it is on the disk)\t\t\t+%.2f\t\t\t", synced),
		row("larder build --snapshot", two(to.SendCPU), two(to.SendWall), func(r round) bench.Usage { return r.Send.Usage }),
		fmt.Sprintf("(aim)\t\t%.2f\t\t%.2f\t%d\t%d", aimCPU, aimWall, aimPeakRSS>>20, aimScratch>>20),
		row("larder build --output", two(to.FileCPU), two(to.FileWall), func(r round) bench.Usage { return r.File.Usage }),
	}
}
