package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

// startAWS starts a double and has the environment lead to it.
func startAWS(t *testing.T, options fakeaws.Options) *fakeaws.Server {
	t.Helper()
	double := fakeaws.NewForTest(t, options)
	for name, value := range double.Env() {
		t.Setenv(name, value)
	}
	return double
}

func TestBuildWritesASnapshotThatInspectReads(t *testing.T) {
	_, reference := pushSample(t)
	// Time passes only between one look at the snapshot and the next.
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	double := startAWS(t, fakeaws.Options{Clock: clock, PendingFor: time.Minute, OnCall: func(action string) {
		if action == "DescribeSnapshots" {
			clock.SetTime(clock.Now().Add(45 * time.Second))
		}
	}})
	status, out, messages := larder(t.Context(), "build", "--image", reference, "--snapshot")
	made := double.Snapshots()
	if status != 0 || len(made) != 1 || out != made[0].ID+"\n" || made[0].State != "completed" {
		t.Fatalf("status %d, output %q, snapshots %+v, messages:\n%s", status, out, made, messages)
	}
	if got := double.Calls("DescribeSnapshots"); got != 2 {
		t.Errorf("the snapshot was looked at %d times, want once while it was pending and once more", got)
	}
	status, out, messages = larder(t.Context(), "inspect", made[0].ID)
	if status != 0 || !strings.Contains(out, reference) {
		t.Errorf("status %d, messages %q, and the table does not name %s:\n%s", status, messages, reference, out)
	}
}

// TestABuiltSnapshotTellsWhatIsInIt: a cluster that binds what a pipeline built learns of it from the tags alone.
func TestABuiltSnapshotTellsWhatIsInIt(t *testing.T) {
	_, reference := pushSample(t)
	double := startAWS(t, fakeaws.Options{})
	status, _, messages := larder(t.Context(), "build", "--image", reference, "--format", "Containerd", "--platform", "linux/amd64,linux/arm64", "--snapshot")
	if status != 0 {
		t.Fatalf("status %d, messages:\n%s", status, messages)
	}
	got := ebs.ContentsOf(double.Snapshots()[0].Tags)
	if got.StoredBytes <= 0 {
		t.Errorf("the tags do not tell how full it is: %+v", got)
	}
	got.StoredBytes = 0
	if diff := cmp.Diff(ebs.Contents{Format: "Containerd", Platforms: []string{"linux/amd64"}}, got); diff != "" {
		t.Errorf("of the platforms that were asked for the image has one: contents (-want +got):\n%s", diff)
	}
}

// TestABuildWithoutTheRightToTag: who may make snapshots may not always tag them later.
func TestABuildWithoutTheRightToTag(t *testing.T) {
	_, reference := pushSample(t)
	double := startAWS(t, fakeaws.Options{Denied: []string{"CreateTags"}})
	for _, format := range []string{"--json=false", "--json"} {
		status, out, messages := larder(t.Context(), "build", "--image", reference, "--snapshot", format)
		if status != 0 || !strings.Contains(out, double.Snapshots()[len(double.Snapshots())-1].ID) ||
			!strings.Contains(out+messages, "its tags do not say how full it is") {
			t.Errorf("%s: status %d, output %s, messages:\n%s", format, status, out, messages)
		}
	}
}

func TestEveryBuildMakesItsOwnSnapshot(t *testing.T) {
	_, reference := pushSample(t)
	double := startAWS(t, fakeaws.Options{})
	for range 2 {
		if status, _, messages := larder(t.Context(), "build", "--image", reference, "--snapshot"); status != 0 {
			t.Fatalf("status %d, messages:\n%s", status, messages)
		}
	}
	if made := double.Snapshots(); len(made) != 2 {
		t.Errorf("two builds made %d snapshots", len(made))
	}
}

func TestFailedBuildLeavesNoSnapshot(t *testing.T) {
	cases := map[string]struct {
		reason string
		denied []string
		fault  registry.Fault
		// onDescribe happens while AWS stores the snapshot.
		onDescribe func(*fakeaws.Server, context.CancelFunc)
		says       string
	}{
		"no permission to start": {"nothing is begun", []string{"StartSnapshot"}, registry.Fault{Path: "/none/"}, nil, "StartSnapshot"},
		"no permission to write": {"the snapshot is begun", []string{"PutSnapshotBlock"}, registry.Fault{Path: "/none/"}, nil, "PutSnapshotBlock"},
		"layer altered":          {"blocks are written", nil, registry.Fault{Path: topLayer(t), Effect: registry.Corrupt}, nil, "layer sha256:"},
		"AWS fails to store it": {"all blocks are written", nil, registry.Fault{Path: "/none/"},
			func(double *fakeaws.Server, _ context.CancelFunc) {
				double.Fail(double.Snapshots()[0].ID, "out of luck")
			}, "out of luck"},
		"interrupted while AWS stores it": {"all blocks are written", nil, registry.Fault{Path: "/none/"},
			func(_ *fakeaws.Server, cancel context.CancelFunc) { cancel() }, "canceled"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			server, reference := pushSample(t)
			server.Inject(test.fault)
			var double *fakeaws.Server
			double = startAWS(t, fakeaws.Options{Denied: test.denied, PendingFor: time.Hour, OnCall: func(action string) {
				if action == "DescribeSnapshots" && test.onDescribe != nil {
					test.onDescribe(double, cancel)
				}
			}})
			status, out, messages := larder(ctx, "build", "--image", reference, "--snapshot")
			if status != 1 || out != "" || !strings.Contains(messages, test.says) {
				t.Errorf("%s: status %d, output %q, messages:\n%s", test.reason, status, out, messages)
			}
			if left := double.Snapshots(); len(left) != 0 {
				t.Errorf("%s: %+v is left", test.reason, left)
			}
		})
	}
}

func TestSnapshotWithoutRegion(t *testing.T) {
	_, reference := pushSample(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	for _, arguments := range [][]string{{"build", "--image", reference, "--snapshot"}, {"inspect", "snap-0123456789abcdef0"}} {
		status, out, messages := larder(t.Context(), arguments...)
		if status != 1 || out != "" || !strings.Contains(messages, "set AWS_REGION") {
			t.Errorf("%v: status %d, output %q, messages %q", arguments, status, out, messages)
		}
	}
}
