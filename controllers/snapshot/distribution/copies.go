package distribution

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// regionPass is the part of a pass that is about the copy in one Region.
type regionPass struct {
	wanted   larderv1alpha1.RegionalCopy
	facts    copyFacts
	decision copyDecision
	problems []Problem
}

// planCopies looks at all Regions at once and for a bounded time, so that none holds up the others.
func (p *pass) planCopies(ctx context.Context) []*regionPass {
	var (
		regions []*regionPass
		group   sync.WaitGroup
	)
	for _, wanted := range p.object.Spec.Copies {
		r := &regionPass{wanted: wanted, facts: copyFacts{
			now: p.now, region: wanted.Region, sourceID: p.current.ID, revision: p.revision(),
			record:      recordOf(p.written.Copies, wanted.Region, p.revision(), p.now),
			edited:      p.edited(larderv1alpha1.ConditionCopiesReady),
			description: p.copyDescription(),
		}}
		regions = append(regions, r)
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, startWithin)
			defer cancel()
			p.observeRegion(ctx, r)
			r.decision = planCopy(&r.facts)
			if r.decision.problem != nil {
				r.problems = append(r.problems, *r.decision.problem)
			}
			p.removeCopies(ctx, r)
		})
	}
	group.Wait()
	return regions
}

// observeRegion asks whether a copy could be made only while there is none, and then before it looks for one: in a
// Region that is not enabled, AWS answers as if our credentials were wrong.
func (p *pass) observeRegion(ctx context.Context, r *regionPass) {
	f := &r.facts
	if f.region == p.Region {
		f.unusable = needsPerson(larderv1alpha1.ReasonRegionUnusable,
			"spec.copies names %s, which is the operator's own Region and has the snapshot itself: remove it from spec.copies", f.region)
		return
	}
	live := f.record != nil && f.record.State != larderv1alpha1.CopyFailed
	if !live {
		if f.unusable, f.unseen = p.judgeRegion(ctx, f.region); f.unusable != nil || f.unseen != nil {
			return
		}
	}
	found, err := p.findCopies(ctx, f)
	if err != nil {
		f.unseen = awsProblem(fmt.Errorf("looking for the copy in %s: %w", f.region, err))
		if unusable, _ := p.judgeRegion(ctx, f.region); unusable != nil {
			f.unseen = unusable
		}
		return
	}
	f.found = found
	if !live && len(found) == 0 && r.wanted.KMSKeyID != "" {
		f.unusable, f.unseen = p.judgeKey(ctx, f.region, r.wanted.KMSKeyID)
	}
}

// findCopies looks by tags, and by id for what the list does not show yet. All that it returns carries the tags.
func (p *pass) findCopies(ctx context.Context, f *copyFacts) ([]ebs.Snapshot, error) {
	tags := p.copyIdentity()
	found, err := p.Elsewhere(f.region).Find(ctx, tags)
	if err != nil || f.record == nil || f.record.SnapshotID == "" {
		return found, err
	}
	if slices.ContainsFunc(found, func(s ebs.Snapshot) bool { return s.ID == f.record.SnapshotID }) {
		return found, nil
	}
	recorded, err := p.Elsewhere(f.region).Describe(ctx, f.record.SnapshotID)
	if larderaws.IsNotFound(err) {
		return found, nil
	}
	if err == nil && hasTags(recorded.Tags, tags) {
		found = append(found, recorded)
	}
	return found, err
}

// judgeRegion returns why there can be no copies in a Region, or else why that is not known.
func (p *pass) judgeRegion(ctx context.Context, region string) (unusable, unknown *Problem) {
	enabled, err := p.Home.RegionEnabled(ctx, region)
	refused := err != nil && larderaws.Classify(err) == larderaws.Stalled && !larderaws.IsAccessDenied(err)
	switch {
	case refused, err == nil && !enabled:
		return needsPerson(larderv1alpha1.ReasonRegionUnusable,
			"Region %s does not exist or is not enabled for this AWS account: enable it in the account's settings, or remove it from spec.copies",
			region), nil
	case err != nil:
		return nil, awsProblem(err)
	}
	return nil, nil
}

// judgeKey returns why a Region's key cannot encrypt a copy, or else why that is not known.
func (p *pass) judgeKey(ctx context.Context, region, keyID string) (unusable, unknown *Problem) {
	key, err := p.Keys(region).Describe(ctx, keyID)
	switch {
	case larderaws.IsKeyUnusable(err), larderaws.IsNotFound(err):
		return needsPerson(larderv1alpha1.ReasonKMSKeyUnusable,
			"KMS key %s cannot be used in %s: give a key of that Region for it in spec.copies: %v", keyID, region, err), nil
	case err != nil:
		return nil, awsProblem(fmt.Errorf("looking at the key for copies in %s: %w", region, err))
	case !key.Enabled:
		return needsPerson(larderv1alpha1.ReasonKMSKeyUnusable,
			"KMS key %s in %s cannot be used, its state is %s: enable it, or give another one in spec.copies", keyID, region, key.State), nil
	}
	return nil, nil
}

func (p *pass) removeCopies(ctx context.Context, r *regionPass) {
	for _, snapshot := range r.decision.remove {
		if err := p.Elsewhere(r.facts.region).Delete(ctx, snapshot.ID); err != nil {
			r.problems = append(r.problems, *awsProblem(fmt.Errorf("in %s: %w", r.facts.region, err)))
			continue
		}
		log.FromContext(ctx).Info("Deleted a copy that failed or was one too many",
			"region", r.facts.region, "snapshotID", snapshot.ID, "state", snapshot.State, "source", p.current.ID)
	}
}

// reportCopies writes status.copies and CopiesReady.
func (p *pass) reportCopies(regions []*regionPass) {
	p.object.Status.Copies = nil
	var (
		problems []Problem
		stands   []string
		pending  bool
	)
	for _, r := range regions {
		p.outcome.lookAgain(r.decision.after)
		if r.decision.start && p.unexposed != nil {
			r.decision.start, r.decision.status = false, r.facts.record
			r.problems = append(r.problems, *p.unexposed)
		}
		problems = append(problems, r.problems...)
		status := r.decision.status
		if status == nil {
			continue
		}
		p.object.Status.Copies = append(p.object.Status.Copies, *status)
		if r.decision.start {
			p.outcome.starts = append(p.outcome.starts, copyStart{marker: *status, input: p.copyInput(r.wanted)})
		}
		if status.State != larderv1alpha1.CopyFailed {
			stands = append(stands, fmt.Sprintf("%s in %s is %s", snapshotName(status), status.Region, status.State))
			pending = pending || status.State != larderv1alpha1.CopyCompleted
		}
	}
	p.outcome.fail(problems...)
	rest := strings.Join(stands, ", ")
	switch kind := larderv1alpha1.ConditionCopiesReady; {
	case len(regions) == 0:
	case len(problems) > 0:
		p.conditions.failed(kind, problems, rest)
	case pending:
		p.conditions.progressing(kind, larderv1alpha1.ReasonCopying, "copying snapshot "+p.current.ID+": "+rest)
	default:
		p.conditions.done(kind, larderv1alpha1.ReasonCopied, "snapshot "+p.current.ID+" is copied to every Region of spec.copies: "+rest)
	}
}

func snapshotName(status *larderv1alpha1.CopyStatus) string {
	if status.SnapshotID == "" {
		return "the copy"
	}
	return status.SnapshotID
}

// copyIdentity are the tags by which a copy of the current revision is found.
func (p *pass) copyIdentity() map[string]string {
	tags := p.identity(p.object)
	tags[ebs.TagSourceID] = p.current.ID
	return tags
}

// edited holds while a condition is of an older spec.
func (p *pass) edited(kind string) bool {
	known := meta.FindStatusCondition(p.written.Conditions, kind)
	return known != nil && known.ObservedGeneration != p.object.Generation
}
