//go:build node

package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larder-dev/larder/test/bench"
	"github.com/larder-dev/larder/test/node"
)

const (
	// runs are measured unless BENCH_RUNS says otherwise.
	runs = 3
	// startLimit ends a pull that hangs or is tried over and over.
	startLimit = 30 * time.Minute
	// diskMargin in bytes is for what a filesystem and a containerd have beside images.
	diskMargin = 1 << 30
)

// normalSizes are measured, in MB, unless BENCH_MB says otherwise.
var normalSizes = []int64{100, 1000, 4000}

// outcome is what was measured with one image.
type outcome struct {
	// Bytes is the compressed size of its layers.
	Bytes int64 `json:"bytes"`
	// PulledSeconds and CachedSeconds are the rounds' own, in order.
	PulledSeconds []float64 `json:"pulledSeconds"`
	CachedSeconds []float64 `json:"cachedSeconds"`
	PulledMedian  float64   `json:"pulledMedianSeconds"`
	CachedMedian  float64   `json:"cachedMedianSeconds"`
	// Ratio is the median of the rounds' own, pulled to cached.
	Ratio float64 `json:"ratio"`
}

// TestManifestToStarted alternates what it compares, so that both meet the same moods of the machine.
func TestManifestToStarted(t *testing.T) {
	sizes, err := sizes()
	if err != nil {
		t.Fatal(err)
	}
	rounds, err := bench.Runs(runs)
	if err != nil {
		t.Fatal(err)
	}
	machine := bench.ThisMachine()
	var outcomes []outcome
	for _, megabytes := range sizes {
		t.Run(fmt.Sprintf("%d MB", megabytes), func(t *testing.T) { outcomes = append(outcomes, measure(t, megabytes, rounds)) })
	}
	if t.Failed() {
		return
	}
	containerd := node.NewestContainerd(t).Version
	rows := []string{"image, compressed MB\tpulled s\tcached s\tpulled / cached"}
	for _, o := range outcomes {
		rows = append(rows, fmt.Sprintf("%s\t%.2f\t%.2f\t%.1f", bench.MB(o.Bytes), o.PulledMedian, o.CachedMedian, o.Ratio))
	}
	report = bench.Report{
		Title:  fmt.Sprintf("From a pod's manifest to Started; medians of %d runs (containerd %s, %s)", rounds, containerd, machine),
		Tables: [][]string{rows},
		JSON:   map[string]any{"benchmark": "node", "machine": machine, "containerd": containerd, "outcomes": outcomes},
	}
}

// sizes are those of the images, in MB.
func sizes() ([]int64, error) {
	words := strings.Fields(os.Getenv("BENCH_MB"))
	if len(words) == 0 {
		return normalSizes, nil
	}
	list := make([]int64, len(words))
	for i, word := range words {
		size, err := strconv.ParseInt(word, 10, 64)
		if err != nil || size < 1 {
			return nil, fmt.Errorf("BENCH_MB has %q: each word has to be a number from 1 on", word)
		}
		list[i] = size
	}
	return list, nil
}

func measure(t *testing.T, megabytes, rounds int64) outcome {
	server := serveImages(t, megabytes)
	volume := buildVolume(t, server)
	o := outcome{Bytes: server.appBytes}
	var ratios []float64
	for i := range rounds {
		var pulled, cached float64
		// Subtests, so that each round's disks, nodes and kubelets are gone before the next.
		t.Run(fmt.Sprintf("pulled %d", i+1), func(t *testing.T) { pulled = startPulled(t, server, volume) })
		t.Run(fmt.Sprintf("cached %d", i+1), func(t *testing.T) { cached = startCached(t, server, volume) })
		if t.Failed() {
			t.FailNow()
		}
		o.PulledSeconds, o.CachedSeconds = append(o.PulledSeconds, pulled), append(o.CachedSeconds, cached)
		ratios = append(ratios, pulled/cached)
	}
	o.PulledMedian, o.CachedMedian, o.Ratio = median(o.PulledSeconds), median(o.CachedSeconds), median(ratios)
	return o
}

// startPulled returns the seconds from manifest to start on a disk that is empty but for the sandbox's image, which
// EKS's nodes have from their boot on.
func startPulled(t *testing.T, server *imageServer, volume string) float64 {
	built, err := os.Stat(volume)
	if err != nil {
		t.Fatal(err)
	}
	// A pull keeps the compressed layers beside their files.
	disk := node.NewEmptyDisk(t, built.Size()+server.appBytes+diskMargin)
	running := node.Start(t, node.Options{
		Containerd: node.NewestContainerd(t), Root: filepath.Join(disk, "containerd"), SandboxImage: server.pause,
	})
	if err := running.CRI.Pull(t.Context(), server.pause); err != nil {
		t.Fatal(err)
	}
	return start(t, running, disk, server, "Successfully pulled image")
}

// startCached returns the seconds from manifest to start on a volume, with the registry closed.
func startCached(t *testing.T, server *imageServer, volume string) float64 {
	disk := node.AttachDisk(t, volume)
	server.closed.Store(true)
	defer server.closed.Store(false)
	asked := server.requests.Load()
	running := node.Start(t, node.Options{
		Containerd: node.NewestContainerd(t), Root: disk.ContainerdRoot(), SandboxImage: server.pause,
	})
	seconds := start(t, running, disk.Mountpoint, server, "already present on machine")
	if more := server.requests.Load() - asked; more != 0 {
		t.Errorf("the registry was asked %d times for images that are on the volume", more)
	}
	return seconds
}

// start returns the seconds from a manifest's appearance to the kubelet's event that its container was started, and
// checks where the kubelet says that it had the image from.
func start(t *testing.T, running *node.Node, mountpoint string, server *imageServer, whence string) float64 {
	t.Helper()
	kubelet := running.StartKubelet(t)
	// A kubelet that has started one pod watches its manifests, and all programs that a start needs are in memory.
	kubelet.AddPod(t, "first", manifest("first", server.pause))
	kubelet.WaitForEvent(t, "first", "Started")
	dropPages(t, mountpoint)

	begun := time.Now()
	kubelet.AddPod(t, "app", manifest("app", server.app))
	started := kubelet.WaitForEventWithin(t, startLimit, "app", "Started").Time
	if message := kubelet.WaitForEvent(t, "app", "Pulled"); !strings.Contains(message, whence) {
		t.Errorf("the kubelet says of the image: %s, want: %s", message, whence)
	}
	return started.Sub(begun).Seconds()
}

func manifest(name, image string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: default}
spec:
  hostNetwork: true
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: %q, imagePullPolicy: IfNotPresent}
`, name, image)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
