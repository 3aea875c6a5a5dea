package main

import (
	"strings"
	"testing"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestBuildNamesItsSnapshotInAParameter(t *testing.T) {
	_, reference := pushSample(t)
	double := startAWS(t, fakeaws.Options{})
	for range 2 { // once it is made, then it is changed
		status, out, messages := larder(t.Context(), "build", "--image", reference, "--snapshot", "--ssm-parameter", "/larder/ci")
		made := double.Snapshots()
		written, there := double.Parameter("/larder/ci")
		if status != 0 || !there || written.Value != made[len(made)-1].ID || out != written.Value+"\n" {
			t.Fatalf("status %d, parameter %+v, output %q, messages:\n%s", status, written, out, messages)
		}
	}
}

func TestParameterThatCannotBeWritten(t *testing.T) {
	_, reference := pushSample(t)
	cases := map[string]struct {
		reason    string
		options   fakeaws.Options
		arguments []string
		says      string
		snapshots int
	}{
		"an object's own":    {"the operator would write it again", fakeaws.Options{}, []string{"--snapshot", "--ssm-parameter", "/larder/object"}, "is that of an ImageCacheSnapshot", 0},
		"may not be read":    {"better before the build than after it", fakeaws.Options{Denied: []string{"GetParameter"}}, []string{"--snapshot", "--ssm-parameter", "/larder/ci"}, "reading SSM parameter /larder/ci", 0},
		"may not be made":    {"the build was not for nothing", fakeaws.Options{Denied: []string{"PutParameter"}}, []string{"--snapshot", "--ssm-parameter", "/larder/ci"}, "is complete and stays, but nobody learns of it", 1},
		"without a snapshot": {"there is nothing to name", fakeaws.Options{}, []string{"--output", "disk.img", "--ssm-parameter", "/larder/ci"}, "give --snapshot too", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			double := startAWS(t, tc.options)
			double.AddParameter(fakeaws.Parameter{Name: "/larder/object", Value: "snap-1", Tags: map[string]string{"larder.dev/object-uid": "uid"}})
			status, out, messages := larder(t.Context(), append([]string{"build", "--image", reference}, tc.arguments...)...)
			if status == 0 || out != "" || !strings.Contains(messages, tc.says) || len(double.Snapshots()) != tc.snapshots {
				t.Errorf("%s: status %d, output %q, %d snapshots, messages:\n%s", tc.reason, status, out, len(double.Snapshots()), messages)
			}
			if tc.snapshots > 0 && !strings.Contains(messages, double.Snapshots()[0].ID) {
				t.Errorf("the error does not name what was made: %s", messages)
			}
		})
	}
}
