package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"strings"

	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/controllers/snapshot/builder"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// target is what a build writes to.
type target interface {
	// create begins a disk of size GiB, which has all that parent has if that is not nil.
	create(ctx context.Context, size int64, parent volume.RawDisk) (volume.Output, error)
	// describe tells others what is in the finished disk. The disk is as good without.
	describe(ctx context.Context, made *volume.Result) error
	// name is what the user calls the finished disk.
	name() result
}

func newTarget(flags buildFlags, images []image.Image, report reporter) target {
	if flags.snapshot {
		return &snapshotTarget{
			images: flags.images, contents: snapshot.ContentsTags(volume.Format(flags.format), images),
			parent: flags.parent, putsPerSecond: flags.ebsPuts, report: report,
		}
	}
	return &fileTarget{path: flags.output, report: report}
}

// fileTarget is a raw disk file.
type fileTarget struct {
	path   string
	report reporter
}

func (f *fileTarget) create(ctx context.Context, size int64, parent volume.RawDisk) (volume.Output, error) {
	file, err := f.begin(ctx, size, parent)
	if err != nil {
		return nil, err
	}
	f.report.writing(f.name(), size)
	return file, nil
}

func (f *fileTarget) begin(ctx context.Context, size int64, parent volume.RawDisk) (*volume.File, error) {
	if parent == nil {
		return volume.CreateFile(f.path, size)
	}
	return volume.CreateFileFrom(ctx, f.path, size, parent)
}

// describe does nothing: larder inspect reads the file itself.
func (f *fileTarget) describe(context.Context, *volume.Result) error { return nil }

func (f *fileTarget) name() result { return result{Output: f.path} }

// tagRun makes the snapshot of one call of larder build its own: without it, AWS would take a second call with
// the same images for a repetition of the first, and answer with its snapshot.
const tagRun = "larder.dev/run"

// maxDescription is what EC2 allows of a snapshot's description, in characters
// (https://docs.aws.amazon.com/ebs/latest/APIReference/API_StartSnapshot.html).
const maxDescription = 255

// snapshotTarget is an EBS snapshot.
type snapshotTarget struct {
	images []string
	// contents are tags.
	contents map[string]string
	// parent is a snapshot's id.
	parent        string
	putsPerSecond float64
	report        reporter
	client        *ebs.Client
	id            string
}

func (s *snapshotTarget) create(ctx context.Context, size int64, parent volume.RawDisk) (volume.Output, error) {
	configuration, err := aws.Load(ctx)
	if err != nil {
		return nil, err
	}
	s.client = ebs.New(configuration, ebs.Options{PutsPerSecond: s.putsPerSecond})
	tags := map[string]string{tagRun: rand.Text()}
	maps.Copy(tags, s.contents)
	description := "Larder: " + strings.Join(s.images, ", ")
	input := ebs.StartInput{
		VolumeSize:  size,
		Tags:        tags,
		Description: description[:min(len(description), maxDescription)],
	}
	if parent != nil {
		input.ParentSnapshotID = s.parent
	}
	upload, err := builder.StartUpload(ctx, s.client, input)
	if err != nil {
		return nil, err
	}
	s.id = upload.SnapshotID
	s.report.writing(s.name(), size)
	return &snapshotOutput{id: upload.SnapshotID, upload: upload, snapshots: s.client, report: s.report}, nil
}

func (s *snapshotTarget) describe(ctx context.Context, made *volume.Result) error {
	if err := builder.TagStored(ctx, s.client, s.id, made.Layout); err != nil {
		return fmt.Errorf("snapshot %s is complete, but its tags do not say how full it is: %w", s.id, err)
	}
	return nil
}

func (s *snapshotTarget) name() result { return result{SnapshotID: s.id} }
