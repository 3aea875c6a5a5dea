package distribution

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

const (
	// markedInterval is when a pass comes that finds what this one has marked.
	markedInterval = time.Second
	// restoreInterval is how often fast snapshot restore is looked at while it changes. Enabling takes an hour for
	// each TiB: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-fast-snapshot-restore.html
	restoreInterval = time.Minute
)

const (
	// restorePrice is what AWS bills for a snapshot, zone and hour, in USD: https://aws.amazon.com/ebs/pricing/
	restorePrice = 0.75
	// mostRestores is how many volumes an hour the credits of one zone are for at most, and restoreCreditGiB is what
	// it is divided by the volume's GiB for larger ones:
	// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-fsr-volume-creation-credits.html
	mostRestores     = 10
	restoreCreditGiB = 1024
)

// restore has fast snapshot restore enabled for the current snapshot in the zones of the spec, and nowhere else.
func (p *pass) restore(ctx context.Context) {
	facts := restoreFacts{wanted: p.zones(), current: p.current.ID}
	for _, one := range p.written.FastSnapshotRestore {
		facts.marked = append(facts.marked, one.AvailabilityZone)
	}
	if len(facts.wanted) == 0 && len(facts.marked) == 0 {
		return
	}
	ids := []string{p.current.ID}
	for _, snapshot := range p.superseded {
		ids = append(ids, snapshot.ID)
	}
	found, err := p.FastRestores.FastRestores(ctx, ids)
	if err != nil {
		p.reportRestore(restoreDecision{states: p.written.FastSnapshotRestore}, []Problem{*awsProblem(err)})
		return
	}
	facts.found = found
	decision := planRestores(facts)
	p.reportRestore(decision, p.actRestore(ctx, decision))
}

// actRestore asks for each zone alone, so that one that AWS refuses keeps no other waiting.
func (p *pass) actRestore(ctx context.Context, d restoreDecision) []Problem {
	var problems []Problem
	for _, zone := range d.enable {
		if err := p.FastRestores.EnableFastRestore(ctx, p.current.ID, []string{zone}); err != nil {
			problems = append(problems, *awsProblem(fmt.Errorf("in zone %s of spec.fastSnapshotRestore: see that it is one of %s, "+
				"and that the account's quota of snapshots with fast snapshot restore is not used up, or remove it: %w", zone, p.Region, err)))
			continue
		}
		log.FromContext(ctx).Info("Enabled fast snapshot restore", "snapshotID", p.current.ID, "zone", zone)
	}
	for _, id := range slices.Sorted(maps.Keys(d.disable)) {
		if err := p.FastRestores.DisableFastRestore(ctx, id, d.disable[id]); err != nil {
			problems = append(problems, *awsProblem(fmt.Errorf("AWS goes on billing until this succeeds: %w", err)))
			continue
		}
		log.FromContext(ctx).Info("Disabled fast snapshot restore", "snapshotID", id, "zones", d.disable[id])
	}
	return problems
}

// reportRestore writes status.fastSnapshotRestore and its condition.
func (p *pass) reportRestore(d restoreDecision, problems []Problem) {
	p.object.Status.FastSnapshotRestore = d.states
	p.outcome.fail(problems...)
	switch {
	case d.unmarked:
		p.outcome.lookAgain(markedInterval)
	case len(d.disable) > 0, len(d.states) > 0 && (!d.ready || len(p.zones()) == 0):
		p.outcome.lookAgain(restoreInterval)
	}
	if len(p.zones()) == 0 {
		return
	}
	var states []string
	for _, one := range d.states {
		states = append(states, one.AvailabilityZone+" "+one.State)
	}
	message := fmt.Sprintf("snapshot %s: %s. %s", p.current.ID, strings.Join(states, ", "), restoreCost(len(p.zones()), p.current.VolumeSize))
	switch kind := larderv1alpha1.ConditionFastSnapshotRestoreReady; {
	case len(problems) > 0:
		p.conditions.failed(kind, problems, message)
	case d.ready:
		p.conditions.done(kind, larderv1alpha1.ReasonEnabled, message)
	default:
		p.conditions.progressing(kind, larderv1alpha1.ReasonEnabling, message)
	}
}

// restoreCost says what AWS bills and gives for it; the volume's size is in GiB.
func restoreCost(zones int, volumeSize int64) string {
	credits := float64(mostRestores)
	if volumeSize > 0 {
		credits = min(credits, restoreCreditGiB/float64(volumeSize))
	}
	return fmt.Sprintf("AWS bills $%.2f an hour for each zone, $%.2f in all. A new snapshot's credits begin at zero and grow by %.3g volumes an hour in each zone "+
		"(%d up to %d GiB, fewer above; this volume has %d GiB): until then volumes start as without",
		restorePrice, restorePrice*float64(zones), credits, mostRestores, restoreCreditGiB/mostRestores, volumeSize)
}

func (p *pass) zones() []string {
	if p.object.Spec.FastSnapshotRestore == nil {
		return nil
	}
	var zones []string
	for _, zone := range p.object.Spec.FastSnapshotRestore.AvailabilityZones {
		zones = append(zones, string(zone))
	}
	return zones
}
