package distribution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// copyStart is a copy to be asked for.
type copyStart struct {
	marker larderv1alpha1.CopyStatus
	input  ebs.CopyInput
}

// startCopies asks AWS for copies, all at once, and writes what it answered. Where the answer is lost the marker stays,
// and later passes look for what became of it.
func (d *Distributor) startCopies(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, starts []copyStart) error {
	if len(starts) == 0 {
		return nil
	}
	var (
		group  sync.WaitGroup
		failed = make([]error, len(starts))
		before = object.DeepCopy()
		after  = slices.Clone(object.Status.Copies)
	)
	for i, start := range starts {
		at := slices.IndexFunc(object.Status.Copies, func(c larderv1alpha1.CopyStatus) bool {
			return c.Region == start.marker.Region && c.Revision == start.marker.Revision && c.State == larderv1alpha1.CopyStarting
		})
		if at < 0 || d.Clock.Since(start.marker.Time.Time) > startWithin {
			continue // no marker that a later look could rely upon
		}
		group.Go(func() {
			failed[i] = d.startCopy(ctx, start.input, &after[at])
		})
	}
	group.Wait()
	object.Status.Copies = after
	if apiequality.Semantic.DeepEqual(before.Status, object.Status) {
		return errors.Join(failed...)
	}
	if err := d.Client.Status().Patch(ctx, object, lockedPatch(before)); err != nil {
		failed = append(failed, fmt.Errorf("writing which copies were started: %w", err))
	}
	return errors.Join(failed...)
}

// startCopy changes the marker to what has become of it. It returns an error only while that is unknown.
func (d *Distributor) startCopy(ctx context.Context, input ebs.CopyInput, status *larderv1alpha1.CopyStatus) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	id, err := d.Elsewhere(status.Region).Copy(ctx, input)
	if err != nil && larderaws.Classify(err) == larderaws.Wait {
		return err
	}
	now := metav1.NewTime(d.Clock.Now())
	status.Time = &now
	if err != nil {
		status.State = larderv1alpha1.CopyFailed
		status.Message = message.Clip(fmt.Sprintf("AWS refused the copy in %s: %v", status.Region, err), longestCopyMessage)
		return nil
	}
	status.State, status.SnapshotID = larderv1alpha1.CopyPending, id
	log.FromContext(ctx).Info("Started a copy", "region", status.Region, "snapshotID", id, "source", input.SourceID)
	return nil
}

func (p *pass) copyInput(wanted larderv1alpha1.RegionalCopy) ebs.CopyInput {
	tags := map[string]string{}
	for key, value := range p.object.Spec.Tags {
		tags[key] = string(value)
	}
	return ebs.CopyInput{
		SourceRegion: p.Region,
		SourceID:     p.current.ID,
		KMSKeyID:     wanted.KMSKeyID,
		Description:  p.copyDescription(),
		Tags:         copyTags(p.current, tags),
	}
}

func (p *pass) copyDescription() string {
	return fmt.Sprintf("Copy of %s in %s, made by Larder", p.current.ID, p.Region)
}
