package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestBuildAndInspectOfEachFormat(t *testing.T) {
	_, reference := pushSample(t)
	cases := map[string]struct {
		want []string
	}{
		"Bottlerocket": {[]string{"Format:      Bottlerocket", "PINNED", reference}},
		"Containerd":   {[]string{"Format:      Containerd", "PINNED", reference}},
		"Files":        {[]string{"Format:      Files", "DIRECTORY", "/          " + reference}},
	}
	for format, c := range cases {
		t.Run(format, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "disk.img")
			status, _, messages := larder(t.Context(), "build", "--format", format, "--image", reference, "--volume-size", "2Gi", "--output", file)
			if status != 0 {
				t.Fatalf("status %d, messages:\n%s", status, messages)
			}
			_, out, messages := larder(t.Context(), "inspect", file)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("inspect does not say %q:\n%s%s", want, out, messages)
				}
			}
		})
	}
	status, _, messages := larder(t.Context(), "build", "--format", "Docker", "--image", reference, "--output", "x")
	if status == 0 || !strings.Contains(messages, "give one of Bottlerocket, Containerd, Files") {
		t.Errorf("status %d for a format that there is not, messages:\n%s", status, messages)
	}
}
