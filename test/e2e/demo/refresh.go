package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
)

const (
	// longestInterval is the 1m of e2e.FollowingTag, and what a busy machine takes to notice.
	longestInterval = 63 * time.Second
	// buildPatience is for a small build on a busy machine.
	buildPatience = 90 * time.Second
	// sweepPatience is for the collection, which comes by every minute.
	sweepPatience = 90 * time.Second
)

// showRefresh pushes a new image under the same tag, and then another, and touches nothing else.
func (d *demo) showRefresh() error {
	image, err := d.Stack.PushRelease(d.ctx, 1)
	if err != nil {
		return err
	}
	class, following := filepath.Join(d.dir, "ec2nodeclass.yaml"), filepath.Join(d.dir, "following.yaml")
	manifest := e2e.FollowingTag(image)
	if err := errors.Join(os.WriteFile(class, []byte(e2e.NodeClass), 0o600), os.WriteFile(following, []byte(manifest), 0o600)); err != nil {
		return err
	}
	d.Say("An EC2NodeClass as a team might have it, what to cache, and who boots from it. That is all that is applied:")
	fmt.Print(manifest)
	for _, file := range []string{class, following} {
		if err := d.kubectl("apply", "--filename", file); err != nil {
			return err
		}
	}
	d.Say("Twice a new image is pushed under the same tag. Nobody touches the objects:")
	t := &timeline{stack: d.Stack, start: time.Now()}
	if err := t.until(d.ctx, "revision 1 is Ready, and the EC2NodeClass has it", buildPatience, func(s *sight) bool { return s.serves(1) }); err != nil {
		return err
	}
	first := t.last.revision(1)
	for _, revision := range []int64{2, 3} {
		if err := d.pushAndSee(t, revision, first); err != nil {
			return err
		}
	}
	if err := seeOldestGo(d, t, first.SnapshotID); err != nil {
		return err
	}
	d.Say("Both objects:")
	return d.kubectl("get", "ics,ncb", "--output", "wide")
}

// pushAndSee pushes the next release, and sees that the interval alone makes a revision of it that is a small part of the
// first one's work.
func (d *demo) pushAndSee(t *timeline, revision int64, first v1alpha1.RevisionStatus) error {
	image, err := d.Stack.PushRelease(d.ctx, byte(revision))
	if err != nil {
		return err
	}
	pushed := time.Now()
	t.tell("pushed release %d as %s", revision, image)
	if err := t.until(d.ctx, fmt.Sprintf("revision %d is begun within an interval", revision), longestInterval, func(s *sight) bool {
		return s.builds() == revision || s.serves(revision)
	}); err != nil {
		return err
	}
	if err := t.until(d.ctx, fmt.Sprintf("revision %d is Ready, and the EC2NodeClass has it", revision), buildPatience, func(s *sight) bool {
		return s.serves(revision)
	}); err != nil {
		return err
	}
	made := t.last.revision(revision)
	if made.FetchedBytes == 0 || made.FetchedBytes*4 > first.FetchedBytes || made.WrittenBytes*2 > first.WrittenBytes {
		return fmt.Errorf("not seen: revision %d is incremental: it fetched %d bytes and wrote %d, the first one %d and %d",
			revision, made.FetchedBytes, made.WrittenBytes, first.FetchedBytes, first.WrittenBytes)
	}
	t.tell("that is %s after the push, for %d %% of the bytes fetched and %d %% of the bytes written for revision 1",
		time.Since(pushed).Round(time.Second), 100*made.FetchedBytes/first.FetchedBytes, 100*made.WrittenBytes/first.WrittenBytes)
	return nil
}

// seeOldestGo sees that what is beyond the limit goes, and nothing else.
func seeOldestGo(d *demo, t *timeline, oldest string) error {
	t.tell("revisionHistoryLimit is 2: revision 1, %s, is to go", oldest)
	if err := t.until(d.ctx, oldest+" is gone from AWS", sweepPatience, func(s *sight) bool { return !slices.Contains(s.inAWS, oldest) }); err != nil {
		return err
	}
	kept := []string{t.last.revision(2).SnapshotID, t.last.revision(3).SnapshotID}
	if !slices.Equal(t.last.inAWS, kept) {
		return fmt.Errorf("not seen: AWS has revisions 2 and 3, %v, alone: it has %v", kept, t.last.inAWS)
	}
	return nil
}
