package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/registry"
)

// larder runs one command and returns its status and what it wrote.
func larder(ctx context.Context, arguments ...string) (status int, out, err string) {
	var stdout, stderr bytes.Buffer
	status = run(ctx, streams{out: &stdout, err: &stderr}, append([]string{"larder"}, arguments...))
	return status, stdout.String(), stderr.String()
}

// pushSample starts a registry with one small image.
func pushSample(t *testing.T) (*registry.Server, string) {
	t.Helper()
	server, err := registry.Start(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	reference, err := server.Push(t.Context(), "team/app:1", sample)
	if err != nil {
		t.Fatal(err)
	}
	return server, reference
}

var sample = registry.Runnable([]byte("\x7fELF"))

// topLayer is a part of the address of the sample's top layer, which is opened when the volume is begun.
func topLayer(t *testing.T) string {
	t.Helper()
	built, err := registry.Build(sample)
	if err != nil {
		t.Fatal(err)
	}
	return "/blobs/" + built.Blobs[len(sample.Layers)-1].Descriptor.Digest.String()
}

func TestBuildWritesAFileThatInspectReads(t *testing.T) {
	_, reference := pushSample(t)
	file := filepath.Join(t.TempDir(), "disk.img")
	status, out, messages := larder(t.Context(), "build", "--image", reference, "--volume-size", "3Gi", "--output", file)
	if status != 0 || out != file+"\n" {
		t.Fatalf("status %d, output %q, messages:\n%s", status, out, messages)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != 3<<30 {
		t.Errorf("the file is %v (%v), want 3 GiB", info, err)
	}
	status, out, messages = larder(t.Context(), "inspect", file, "--json")
	var contents volume.Contents
	if err := json.Unmarshal([]byte(out), &contents); status != 0 || err != nil {
		t.Fatalf("status %d, output %q (%v), messages:\n%s", status, out, err, messages)
	}
	if len(contents.Images) != 1 || !slices.Contains(contents.Images[0].Names, reference) {
		t.Errorf("inspect does not name %s: %+v", reference, contents.Images)
	}
	status, out, messages = larder(t.Context(), "inspect", file)
	if status != 0 || !strings.Contains(out, reference) || !strings.Contains(out, "linux/amd64") {
		t.Errorf("status %d, messages %q, and the table does not name %s:\n%s", status, messages, reference, out)
	}
}

// TestBuildByATrace lays files out, says so, and does it anew for another trace.
func TestBuildByATrace(t *testing.T) {
	_, reference := pushSample(t)
	folder := t.TempDir()
	trace, file := filepath.Join(folder, "trace.txt"), filepath.Join(folder, "disk.img")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(trace, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("/app\n")
	built(t, "--image", reference, "--trace", trace, "--output", file)
	status, out, messages := larder(t.Context(), "inspect", file)
	if status != 0 || !strings.Contains(out, "Traced: ") {
		t.Errorf("status %d, messages %q, and inspect does not say what is traced:\n%s", status, messages, out)
	}
	again := built(t, "--image", reference, "--trace", trace, "--parent", file, "--output", file+".next")
	if again.KeptLayers != again.Layers || again.Written != 0 {
		t.Errorf("the same trace upon its own volume: %+v", again)
	}
	write("/app\n/etc/other\n")
	other := built(t, "--image", reference, "--trace", trace, "--parent", file, "--output", file+".other")
	if other.KeptLayers != 0 || !strings.HasSuffix(other.WithoutParent, "its files are laid out by another trace") {
		t.Errorf("another trace: %+v", other)
	}
	for text, says := range map[string]string{"/app\n..\n": "reading " + trace + ": line 2 of the trace", "": "the trace is empty"} {
		write(text)
		status, _, messages := larder(t.Context(), "build", "--image", reference, "--trace", trace, "--output", file+".none")
		if status != 1 || !strings.Contains(messages, says) {
			t.Errorf("status %d, messages %q, want %q", status, messages, says)
		}
	}
	status, _, messages = larder(t.Context(), "build", "--image", reference, "--trace", trace+".none", "--output", file+".none")
	if status != 1 || !strings.Contains(messages, "reading the trace: ") {
		t.Errorf("a trace that is not there: status %d, messages %q", status, messages)
	}
}

func TestBuildWritesLinesOfJSON(t *testing.T) {
	_, reference := pushSample(t)
	file := filepath.Join(t.TempDir(), "disk.img")
	status, out, messages := larder(t.Context(), "build", "--image", reference, "--platform", "linux/amd64,linux/arm64", "--output", file, "--json")
	if status != 0 || messages != "" {
		t.Fatalf("status %d, messages %q", status, messages)
	}
	var events []event
	decoder := json.NewDecoder(strings.NewReader(out))
	for {
		var line event
		if err := decoder.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in:\n%s", err, out)
		}
		events = append(events, line)
	}
	first, last := events[0], events[len(events)-1]
	if first.Event != "resolved" || first.Image != reference || !slices.Equal(first.MissingPlatforms, []string{"linux/arm64"}) {
		t.Errorf("the first event is %+v", first)
	}
	if last.Event != "result" || last.Output != file || last.VolumeSize != 8 || last.Written == 0 || len(last.Images) != 1 {
		t.Errorf("the last event is %+v", last)
	}
	for _, line := range events[1 : len(events)-1] {
		if line.Event != "writing" && line.Event != "progress" {
			t.Errorf("an unexpected event between: %+v", line)
		}
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	cases := map[string]struct {
		reason    string
		fault     registry.Fault
		arguments []string
		says      string
	}{
		"layer altered": {"the disk is half written then", registry.Fault{Path: topLayer(t), Effect: registry.Corrupt},
			nil, "layer sha256:"},
		"image unknown": {"nothing is begun", registry.Fault{Path: "/manifests/", Effect: registry.Refuse(404)},
			nil, "check the repository and the tag"},
		"volume too small": {"the size is not ours to change", registry.Fault{Path: "/none/"},
			[]string{"--volume-size", "1Gi"}, "must be from 2 to"},
		"bad reference": {"nothing is asked for", registry.Fault{Path: "/none/"},
			[]string{"--image", "Not An Image"}, "write [registry/]repository"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server, reference := pushSample(t)
			server.Inject(test.fault)
			folder := t.TempDir()
			status, out, messages := larder(t.Context(), append([]string{"build", "--image", reference, "--output",
				filepath.Join(folder, "disk.img")}, test.arguments...)...)
			if status != 1 || out != "" || !strings.Contains(messages, test.says) {
				t.Errorf("%s: status %d, output %q, messages:\n%s", test.reason, status, out, messages)
			}
			left, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) != 0 {
				t.Errorf("%s: %v is left", test.reason, left)
			}
		})
	}
}

func TestFailedBuildKeepsTheFileThatWasThere(t *testing.T) {
	server, reference := pushSample(t)
	server.Inject(registry.Fault{Path: topLayer(t), Effect: registry.Corrupt})
	file := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(file, []byte("an older disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := larder(t.Context(), "build", "--image", reference, "--output", file); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "an older disk" {
		t.Errorf("the older file is now %q (%v)", content, err)
	}
}

func TestBadUsageHasItsOwnStatus(t *testing.T) {
	cases := map[string]struct {
		arguments []string
		says      string
	}{
		"no image":           {[]string{"build", "--snapshot"}, `"image" not set`},
		"no target":          {[]string{"build", "--image", "nginx"}, "[output snapshot] is required"},
		"two targets":        {[]string{"build", "--image", "nginx", "--snapshot", "--output", "x"}, "none of the others can be"},
		"no size":            {[]string{"build", "--image", "nginx", "--snapshot", "--volume-size", "large"}, "such as 20Gi"},
		"negative size":      {[]string{"build", "--image", "nginx", "--snapshot", "--volume-size", "-1Gi"}, "such as 20Gi"},
		"unknown flag":       {[]string{"build", "--ancestor", "x"}, "unknown flag"},
		"a file's snapshot":  {[]string{"build", "--image", "x", "--snapshot", "--parent", "disk.img"}, "has to be a snapshot"},
		"unknown command":    {[]string{"bild"}, "unknown command"},
		"loose argument":     {[]string{"build", "nginx"}, "unknown command"},
		"nothing to inspect": {[]string{"inspect"}, "accepts 1 arg"},
		"nothing to warm":    {[]string{"warm"}, "either a directory or"},
		"two to warm":        {[]string{"warm", "--device", "x", "y"}, "either a directory or"},
		"none at a time":     {[]string{"warm", "x", "--parallel", "0"}, "must be from 1 to"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			status, out, messages := larder(t.Context(), test.arguments...)
			if status != 2 || out != "" || !strings.Contains(messages, test.says) || !strings.Contains(messages, "larder --help") {
				t.Errorf("status %d, output %q, messages:\n%s", status, out, messages)
			}
		})
	}
}

func TestInspectFailsOnOtherFiles(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "notes.txt")
	if err := os.WriteFile(text, []byte("no disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for title, name := range map[string]string{"no such file": filepath.Join(folder, "none"), "a text": text, "a folder": folder} {
		status, out, messages := larder(t.Context(), "inspect", name)
		if status != 1 || out != "" || !strings.Contains(messages, "inspecting "+name) {
			t.Errorf("%s: status %d, output %q, messages %q", title, status, out, messages)
		}
	}
}

func TestSizesAreWholeGibibytes(t *testing.T) {
	for text, want := range map[string]gibibytes{"20Gi": 20, "1": 1, "1Ti": 1024, "1500Mi": 2, "20G": 19} {
		var got gibibytes
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s is %d GiB (%v), want %d", text, got, err, want)
		}
	}
}

func TestWarmReadsWhatTheVolumeLists(t *testing.T) {
	_, reference := pushSample(t)
	file := filepath.Join(t.TempDir(), "disk.img")
	if status, _, messages := larder(t.Context(), "build", "--image", reference, "--volume-size", "2Gi", "--output", file); status != 0 {
		t.Fatal(messages)
	}
	status, out, messages := larder(t.Context(), "warm", "--device", file, "--json")
	var got warmed
	if err := json.Unmarshal([]byte(out), &got); status != 0 || err != nil {
		t.Fatalf("status %d, output %q (%v), messages:\n%s", status, out, err, messages)
	}
	if got.Blocks == 0 || got.Blocks != got.Listed || got.Bytes != got.Blocks*volume.BlockSize {
		t.Errorf("it read %+v, want all blocks that are listed", got)
	}
}

// TestWarmLeavesOtherVolumesAlone is about nodes that have no volume of Larder's: warming must not fail their start.
func TestWarmLeavesOtherVolumesAlone(t *testing.T) {
	status, out, messages := larder(t.Context(), "warm", t.TempDir())
	if status != 0 || !strings.HasPrefix(out, "read 0 of 0 blocks") || !strings.Contains(messages, "there is no .larder/hot") {
		t.Errorf("status %d, output %q, messages:\n%s", status, out, messages)
	}
}

func TestWarmRefusesAHostileList(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, ".larder"), 0o700); err != nil {
		t.Fatal(err)
	}
	list := []byte("larder-hot 1\n0 1152921504606846976\n")
	if err := os.WriteFile(filepath.Join(folder, volume.HotPath), list, 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, messages := larder(t.Context(), "warm", folder)
	if status != 1 || out != "" || !strings.Contains(messages, "warming the volume") {
		t.Errorf("status %d, output %q, messages:\n%s", status, out, messages)
	}
}
