package ebs_test

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"testing"
	"time"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

// child is the input for a child of this snapshot.
func child(parent string) ebs.StartInput {
	of := input
	of.ParentSnapshotID = parent
	return of
}

func startChild(t *testing.T, s *stand, parent string) *ebs.Upload {
	t.Helper()
	upload, err := s.client.Start(t.Context(), child(parent))
	if err != nil {
		t.Fatal(err)
	}
	return upload
}

func TestChildHasWhatWasNotWrittenFromItsParent(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{Workers: 4})
	parent := upload(t, s, map[int64]byte{0: 1, 3: 2, 4: 3, 2047: 4})
	upload := startChild(t, s, parent)
	write(t, upload, 3, blockOf(9))
	write(t, upload, 4, make([]byte, ebs.BlockSize))
	write(t, upload, 100, blockOf(10))
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkBlocks(t, s, upload.SnapshotID, map[int64]byte{0: 1, 3: 9, 100: 10, 2047: 4})
	snapshots := s.Snapshots()
	if got := snapshots[1]; got.ParentID != parent || got.State != ebs.StateCompleted || got.Written != 3 {
		t.Errorf("3 blocks were sent to the child, one of zeros: %+v", got)
	}
	if err := s.client.Delete(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	checkBlocks(t, s, upload.SnapshotID, map[int64]byte{0: 1, 3: 9, 100: 10, 2047: 4})
}

func TestChildWithoutChangesIsItsParent(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	blocks := map[int64]byte{0: 1, 2047: 4}
	upload := startChild(t, s, upload(t, s, blocks))
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkBlocks(t, s, upload.SnapshotID, blocks)
}

func TestChildMayBeLarger(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	in := child(upload(t, s, map[int64]byte{0: 1}))
	in.VolumeSize = 2
	upload, err := s.client.Start(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	write(t, upload, 4095, blockOf(2))
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader, err := s.client.Open(t.Context(), upload.SnapshotID)
	if err != nil {
		t.Fatal(err)
	}
	if reader.Size() != 2<<30 {
		t.Errorf("the child has %d bytes, want 2 GiB", reader.Size())
	}
}

func TestUnusableParents(t *testing.T) {
	cases := map[string]struct {
		reason string
		server fakeaws.Options
		// spoil makes the parent unusable.
		spoil func(t *testing.T, s *stand, parent string)
		// starts is how many StartSnapshot calls may be made for the child.
		starts int
	}{
		"deleted": {
			reason: "people delete snapshots by hand",
			spoil: func(t *testing.T, s *stand, parent string) {
				if err := s.client.Delete(t.Context(), parent); err != nil {
					t.Fatal(err)
				}
			},
		},
		"pending": {
			reason: "what AWS has not stored yet cannot be built upon",
			server: fakeaws.Options{PendingFor: time.Hour},
			spoil:  func(*testing.T, *stand, string) {},
		},
		"failed": {
			reason: "AWS could not store it",
			spoil:  func(_ *testing.T, s *stand, parent string) { s.Fail(parent, "lost") },
		},
		"of another account": {
			reason: "a shared snapshot can be read, but has children only where it is owned",
			spoil:  func(_ *testing.T, s *stand, parent string) { s.SetOwner(parent, "999999999999") },
		},
		"not encrypted where all is": {
			reason: "only AWS knows the account's setting",
			spoil:  func(_ *testing.T, s *stand, _ string) { s.SetEncryptByDefault(true) },
			starts: 1,
		},
		"deleted meanwhile": {
			reason: "it was there a moment ago",
			spoil: func(_ *testing.T, s *stand, _ string) {
				s.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Error, Status: http.StatusNotFound, Code: "ResourceNotFoundException"})
			},
			starts: 1,
		},
		"its key is forbidden": {
			reason: "AWS says so by the reason of a denial",
			spoil: func(_ *testing.T, s *stand, _ string) {
				s.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Error, Status: http.StatusForbidden, Code: "AccessDeniedException", Reason: "DEPENDENCY_ACCESS_DENIED"})
			},
			starts: 1,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.server, ebs.Options{})
			parent := upload(t, s, map[int64]byte{0: 1})
			c.spoil(t, s, parent)
			before := s.Calls("StartSnapshot")
			if _, err := s.client.Start(t.Context(), child(parent)); !errors.Is(err, ebs.ErrParentUnusable) {
				t.Errorf("%s: error %v", c.reason, err)
			}
			if starts := s.Calls("StartSnapshot") - before; starts != c.starts {
				t.Errorf("%d calls of StartSnapshot, want %d", starts, c.starts)
			}
		})
	}
}

func TestALargerParentIsUnusable(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	in := input
	in.VolumeSize = 2
	parent, err := s.client.Start(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Start(t.Context(), child(parent.SnapshotID)); !errors.Is(err, ebs.ErrParentUnusable) || s.Calls("StartSnapshot") != 1 {
		t.Errorf("a child of 1 GiB was asked for under a parent of 2 GiB: %v", err)
	}
}

// Without these a passing failure would cost a full build, and a missing permission would hide behind one.
func TestWhatIsNotTheParentsFault(t *testing.T) {
	cases := map[string]fakeaws.Fault{
		"StartSnapshot not permitted":     {Action: "StartSnapshot", Kind: fakeaws.Denied},
		"DescribeSnapshots not permitted": {Action: "DescribeSnapshots", Kind: fakeaws.Denied},
	}
	for name, fault := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{}, ebs.Options{})
			parent := upload(t, s, map[int64]byte{0: 1})
			s.Inject(fault)
			_, err := s.client.Start(t.Context(), child(parent))
			if errors.Is(err, ebs.ErrParentUnusable) || !larderaws.IsAccessDenied(err) {
				t.Errorf("error %v, want only a denial", err)
			}
		})
	}
	t.Run("throttles", func(t *testing.T) {
		s := newStand(t, fakeaws.Options{}, ebs.Options{})
		parent := upload(t, s, map[int64]byte{0: 1})
		s.Inject(fakeaws.Fault{Action: "DescribeSnapshots", Kind: fakeaws.Throttle, Times: 8})
		s.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Throttle, Times: 8})
		startChild(t, s, parent)
	})
	t.Run("an invalid request without a parent", func(t *testing.T) {
		s := newStand(t, fakeaws.Options{}, ebs.Options{})
		in := input
		in.Tags = map[string]string{"aws:reserved": ""}
		if _, err := s.client.Start(t.Context(), in); err == nil || errors.Is(err, ebs.ErrParentUnusable) {
			t.Errorf("error %v, want a refusal that speaks of no parent", err)
		}
	})
}

func TestChildIsEncryptedAsItsParent(t *testing.T) {
	s := newStand(t, fakeaws.Options{EncryptByDefault: true}, ebs.Options{})
	parent := upload(t, s, map[int64]byte{0: 1})
	s.SetEncryptByDefault(false)
	child := startChild(t, s, parent)
	data := blockOf(3)
	if err := child.WriteBlock(t.Context(), 1, data, sha256.Sum256(data)); err != nil {
		t.Fatal(err)
	}
	if err := child.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	of := func(id string) ebs.Snapshot {
		snapshot, err := s.client.Describe(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return snapshot
	}
	if a, b := of(parent), of(child.SnapshotID); !b.Encrypted || a.KMSKeyID == "" || a.KMSKeyID != b.KMSKeyID || a.OwnerID != b.OwnerID {
		t.Errorf("parent %+v, child %+v", a, b)
	}
}
