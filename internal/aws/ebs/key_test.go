package ebs_test

import (
	"errors"
	"strings"
	"testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestStartWithKey(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	key := s.AddKey(fakeaws.Key{ID: "mine"})
	other := s.AddKey(fakeaws.Key{ID: "other"})
	disabled := s.AddKey(fakeaws.Key{ID: "disabled", State: fakeaws.KeyDisabled})
	with := func(key string) ebs.StartInput {
		in := input
		in.KMSKeyARN = key
		return in
	}
	mine, err := s.client.Start(t.Context(), with(key))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Snapshots()[0]; !got.Encrypted || got.KMSKeyID != key {
		t.Errorf("the snapshot is %+v", got)
	}
	again, err := s.client.Start(t.Context(), with(key))
	if err != nil || again.SnapshotID != mine.SnapshotID {
		t.Errorf("the same input started %+v: %v", again, err)
	}
	for _, key := range []string{"", other} {
		upload, err := s.client.Start(t.Context(), with(key))
		if err != nil || upload.SnapshotID == mine.SnapshotID {
			t.Errorf("with key %q: %+v, %v; the key must be part of the token", key, upload, err)
		}
	}
	for _, key := range []string{disabled, "arn:aws:kms:us-west-2:111122223333:key/none"} {
		_, err := s.client.Start(t.Context(), with(key))
		if !larderaws.IsKeyUnusable(err) || larderaws.Classify(err) != larderaws.Stalled || !strings.Contains(err.Error(), key) {
			t.Errorf("with key %s: %v", key, err)
		}
	}
}

func TestChildOfAnEncryptedParent(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	key := s.AddKey(fakeaws.Key{ID: "mine"})
	cases := map[string]struct {
		reason string
		parent fakeaws.Snapshot
		key    string
		usable bool
	}{
		"same key":      {"the child inherits the key that it is to have", fakeaws.Snapshot{Encrypted: true, KMSKeyID: key}, key, true},
		"no key wanted": {"any encryption will do", fakeaws.Snapshot{Encrypted: true, KMSKeyID: key}, "", true},
		"another key":   {"the child would be encrypted with the wrong key", fakeaws.Snapshot{Encrypted: true}, key, false},
		"plain":         {"the child would not be encrypted", fakeaws.Snapshot{}, key, false},
		"plain, no key": {"nobody asked for a key", fakeaws.Snapshot{}, "", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := child(s.AddSnapshot(c.parent))
			in.KMSKeyARN = c.key
			_, err := s.client.Start(t.Context(), in)
			if (err == nil) != c.usable || err != nil && !errors.Is(err, ebs.ErrParentUnusable) {
				t.Errorf("%s: %v", c.reason, err)
			}
			all := s.Snapshots()
			if got := all[len(all)-1]; c.usable && (got.Encrypted != c.parent.Encrypted || got.KMSKeyID != c.parent.KMSKeyID) {
				t.Errorf("%s: the child is %+v", c.reason, got)
			}
		})
	}
}
