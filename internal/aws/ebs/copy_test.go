package ebs_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func copyInput(source string) ebs.CopyInput {
	return ebs.CopyInput{SourceRegion: "us-west-2", SourceID: source, Description: "a copy", Tags: map[string]string{ebs.TagSourceID: source}}
}

func TestCopy(t *testing.T) {
	s := newStand(t, fakeaws.Options{CopyFor: time.Minute}, ebs.Options{})
	key := s.AddKey(fakeaws.Key{ID: "c", Region: "eu-west-1", Aliases: []string{"alias/larder"}})
	source := upload(t, s, map[int64]byte{0: 1})
	there := s.in("eu-west-1")
	in := copyInput(source)
	in.KMSKeyID = "alias/larder"
	id, err := there.Copy(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := fakeaws.Snapshot{
		ID: id, CopiedFrom: source, Region: "eu-west-1", Owner: "111122223333", State: ebs.StatePending, Description: "a copy",
		Tags: in.Tags, StartTime: epoch, VolumeSize: 1, Encrypted: true, KMSKeyID: key,
	}
	if diff := cmp.Diff(want, s.Snapshots()[1], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
	found, err := there.Find(t.Context(), in.Tags)
	if err != nil || len(found) != 1 || found[0].ID != id {
		t.Errorf("by its tags %+v is found: %v", found, err)
	}
	s.clock.SetTime(epoch.Add(time.Minute))
	if got, err := there.Describe(t.Context(), id); err != nil || got.State != ebs.StateCompleted {
		t.Errorf("a minute later it is %+v: %v", got, err)
	}
	if found, err := s.client.Find(t.Context(), in.Tags); err != nil || found != nil {
		t.Errorf("in the source's Region %+v is found: %v", found, err)
	}
}

// A second call would make a second copy that is paid for.
func TestCopyIsRepeatedOnlyWithoutEffect(t *testing.T) {
	cases := map[string]struct {
		reason  string
		fault   fakeaws.Fault
		calls   int
		copies  int
		failed  bool
		unknown bool
	}{
		"throttled":     {"it was refused for its rate", fakeaws.Fault{Kind: fakeaws.Throttle, Times: 2}, 3, 1, false, false},
		"answer lost":   {"the copy is there", fakeaws.Fault{Kind: fakeaws.LostResponse, Times: 1}, 1, 1, true, true},
		"stuck":         {"the copy may be there", fakeaws.Fault{Kind: fakeaws.Stuck, Times: 1}, 1, 0, true, true},
		"server error":  {"the copy may be there", fakeaws.Fault{Kind: fakeaws.ServerError, Times: 1}, 1, 0, true, true},
		"gateway error": {"the copy may be there", fakeaws.Fault{Kind: fakeaws.Error, Times: 1, Status: http.StatusServiceUnavailable, Code: "Unavailable"}, 1, 0, true, true},
		"denied":        {"it will be denied again", fakeaws.Fault{Kind: fakeaws.Denied, Times: 1}, 1, 0, true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{}, ebs.Options{AttemptTimeout: 200 * time.Millisecond})
			source := s.AddSnapshot(fakeaws.Snapshot{})
			c.fault.Action = "CopySnapshot"
			s.Inject(c.fault)
			_, err := s.in("eu-west-1").Copy(t.Context(), copyInput(source))
			if (err != nil) != c.failed || larderaws.IsOutcomeUnknown(err) != c.unknown {
				t.Errorf("%s: error %v", c.reason, err)
			}
			if calls := s.Calls("CopySnapshot"); calls != c.calls {
				t.Errorf("%s: %d calls, want %d", c.reason, calls, c.calls)
			}
			if copies := len(s.Snapshots()) - 1; copies != c.copies {
				t.Errorf("%s: %d copies, want %d", c.reason, copies, c.copies)
			}
		})
	}
}

func TestCopyIsRepeatedWhenAWSWasNotReached(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	source := s.AddSnapshot(fakeaws.Snapshot{})
	dials := 0
	cfg := s.Config()
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials++; dials < 3 {
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
			}
			return dial(ctx, network, address)
		}
	})
	if _, err := ebs.New(cfg, s.options).Copy(t.Context(), copyInput(source)); err != nil {
		t.Fatal(err)
	}
	if dials != 3 || s.Calls("CopySnapshot") != 1 {
		t.Errorf("%d connections, %d calls", dials, s.Calls("CopySnapshot"))
	}
}

func TestCopyRefused(t *testing.T) {
	s := newStand(t, fakeaws.Options{CopyFor: time.Minute}, ebs.Options{})
	source := s.AddSnapshot(fakeaws.Snapshot{})
	pending := start(t, s).SnapshotID
	there := s.in("eu-west-1")
	if _, err := there.Copy(t.Context(), copyInput(pending)); larderaws.Classify(err) != larderaws.Wait {
		t.Errorf("a pending source: %v", err)
	}
	for range 20 {
		if _, err := there.Copy(t.Context(), copyInput(source)); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Calls("CopySnapshot")
	if _, err := there.Copy(t.Context(), copyInput(source)); larderaws.Classify(err) != larderaws.Wait || s.Calls("CopySnapshot") != before+1 {
		t.Errorf("the 21st copy: %d calls, %v", s.Calls("CopySnapshot")-before, err)
	}
	_, err := s.in("af-south-1").Copy(t.Context(), copyInput(source))
	if !larderaws.IsAccessDenied(err) {
		t.Errorf("a Region that is not enabled: %v", err)
	}
}
