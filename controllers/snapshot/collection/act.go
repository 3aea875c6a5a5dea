package collection

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/log"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// writesPerSweep is how many calls that change something a sweep makes in one Region. EC2 gives an account a bucket of
// some tens of them, which it shares with all that creates volumes and nodes
// (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html); who uses a snapshot was looked up
// seconds before the last deletion, not minutes; and what goes by a mistake is seen before it is much.
const writesPerSweep = 20

// act carries out what was decided. A call that fails is made again by the next sweep, which decides anew.
func (c *Collector) act(ctx context.Context, f *facts, d decision) error {
	if c.DryRun {
		return nil
	}
	var problems []error
	if err := c.recordSpent(ctx, f, d); err != nil {
		return err // nothing may go whose likeness could then be taken for it
	}
	writes, stopped := map[string]int{}, map[string]bool{}
	for i := range d.verdicts {
		v := &d.verdicts[i]
		if !v.changesSomething() || stopped[v.region] || writes[v.region] == writesPerSweep || ctx.Err() != nil {
			continue
		}
		writes[v.region]++
		if err := c.carryOut(ctx, v); err != nil {
			problems = append(problems, err)
			// The next call would fare no better, while another snapshot may be the only one that AWS keeps.
			stopped[v.region] = larderaws.IsAccessDenied(err) || larderaws.IsThrottled(err)
		}
	}
	return errors.Join(append(problems, c.writeLedger(ctx, d.ledger))...)
}

func (v *verdict) changesSomething() bool {
	return len(v.tags) > 0 || v.do == doDisable || v.do == doDelete
}

// recordSpent keeps those that look like what is about to be deleted from being taken for it afterwards, also those
// that AWS does not list yet.
func (c *Collector) recordSpent(ctx context.Context, f *facts, d decision) error {
	found := map[string]any{}
	for _, v := range d.verdicts {
		if v.do == doDelete {
			found[v.ID] = newSpent(v.owned, f.now)
		}
	}
	return c.writeLedger(ctx, found)
}

func (c *Collector) carryOut(ctx context.Context, v *verdict) error {
	snapshots := c.Regions(v.region).Snapshots
	switch {
	case len(v.tags) > 0:
		return snapshots.Tag(ctx, v.ID, v.tags)
	case v.do == doDisable:
		return snapshots.DisableFastRestore(ctx, v.ID, v.zones)
	}
	err := snapshots.Delete(ctx, v.ID)
	if larderaws.IsInUse(err) {
		v.do = doWait
		v.why += keptByAMI
		c.refused[v.ID] = c.Clock.Now()
		return nil
	}
	if err != nil {
		return err
	}
	v.gone = true
	log.FromContext(ctx).Info("Deleted a snapshot", "snapshotID", v.ID, "region", v.region, "revision", v.revision,
		"objectUID", v.uid, "why", v.why)
	return nil
}
