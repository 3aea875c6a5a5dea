package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/volume"
)

// pollInterval keeps a person waiting little longer than AWS does, at a rate that no quota minds.
const pollInterval = 3 * time.Second

// deleteTimeout bounds the deletion of a snapshot after its build was interrupted.
const deleteTimeout = time.Minute

// snapshots are the calls that follow an upload; ebs.Client has them.
type snapshots interface {
	Describe(ctx context.Context, id string) (ebs.Snapshot, error)
	Delete(ctx context.Context, id string) error
}

// snapshotOutput is an upload that is complete only when AWS says so, and that can be taken back until then.
type snapshotOutput struct {
	id        string
	upload    volume.Output
	snapshots snapshots
	report    reporter
	// sealed means that the upload itself can no longer be aborted.
	sealed bool
}

// WriteBlock implements volume.Disk.
func (s *snapshotOutput) WriteBlock(ctx context.Context, index int64, data []byte, sum [sha256.Size]byte) error {
	return s.upload.WriteBlock(ctx, index, data, sum)
}

// Complete seals the snapshot and waits until AWS has stored it.
func (s *snapshotOutput) Complete(ctx context.Context) error {
	if err := s.upload.Complete(ctx); err != nil {
		return err
	}
	s.sealed = true
	s.report.completing()
	appears := time.NewTimer(ebs.AppearsWithin)
	defer appears.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	mayBeUnknown := true
	for {
		snapshot, err := s.snapshots.Describe(ctx, s.id)
		switch {
		case err != nil && (!mayBeUnknown || !aws.IsNotFound(err)):
			return err
		case err == nil && snapshot.State == ebs.StateCompleted:
			return nil
		case err == nil && snapshot.State == ebs.StateError:
			return fmt.Errorf("AWS could not store snapshot %s: %s", s.id, snapshot.StateMessage)
		}
		select {
		case <-ticker.C:
		case <-appears.C:
			mayBeUnknown = false
		case <-ctx.Done():
			return fmt.Errorf("waiting for snapshot %s to be completed: %w", s.id, ctx.Err())
		}
	}
}

// Abort deletes the snapshot, even when ctx was cancelled.
func (s *snapshotOutput) Abort(ctx context.Context) error {
	if !s.sealed {
		return s.upload.Abort(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	return s.snapshots.Delete(ctx, s.id)
}
