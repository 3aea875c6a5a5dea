package distribution

import (
	"context"
	"errors"
	"fmt"
	"strings"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// publish writes the current snapshot's id to the places of the spec that the object's annotation names already, and
// withdraws it from those that the spec does not name any more.
func (p *pass) publish(ctx context.Context) {
	wanted, named := wantedPlaces(p.object.Spec.Publish), namedPlaces(p.object)
	problems := p.ensurePlaces(ctx, wanted.both(named))
	kept, failed := p.withdrawAll(ctx, p.object, named.without(wanted))
	for _, one := range failed {
		p.outcome.fail(*one)
	}
	if next := named.both(wanted.with(kept)).with(wanted); !next.equal(named) {
		p.outcome.places = &next
		p.outcome.lookAgain(markedInterval)
	}
	p.reportPublished(wanted, problems, wanted.without(named).empty())
}

func (p *pass) ensurePlaces(ctx context.Context, due places) []Problem {
	if due.empty() {
		return nil
	}
	if p.unexposed != nil {
		return []Problem{*p.unexposed}
	}
	var problems []Problem
	for _, name := range due.Parameters {
		if problem := p.ensureParameter(ctx, name); problem != nil {
			problems = append(problems, *problem)
		}
	}
	for _, name := range due.ConfigMaps {
		if problem := p.ensureConfigMap(ctx, name); problem != nil {
			problems = append(problems, *problem)
		}
	}
	return problems
}

func (p *pass) reportPublished(wanted places, problems []Problem, named bool) {
	p.outcome.fail(problems...)
	if wanted.empty() {
		return
	}
	var names []string
	for _, name := range wanted.Parameters {
		names = append(names, "SSM parameter "+name)
	}
	for _, name := range wanted.ConfigMaps {
		names = append(names, "ConfigMap "+p.Namespace+"/"+name)
	}
	where := strings.Join(names, " and ")
	switch kind := larderv1alpha1.ConditionPublished; {
	case len(problems) > 0:
		p.conditions.failed(kind, problems, "")
	case !named:
		p.conditions.progressing(kind, larderv1alpha1.ReasonProgressing, "about to write "+p.current.ID+" to "+where)
	default:
		p.conditions.done(kind, larderv1alpha1.ReasonPublished, p.current.ID+" is in "+where)
	}
}

// Withdraw deletes what was published of an object, as far as it is the object's own. It is for a deleted object whose
// policy is Delete; what somebody else has made in the meantime stays.
func (d *Distributor) Withdraw(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) error {
	_, problems := d.withdrawAll(ctx, object, namedPlaces(object))
	var failed []error
	for _, one := range problems {
		failed = append(failed, one.Err)
	}
	return errors.Join(failed...)
}

// withdrawAll returns the places where something may still be, and why.
func (d *Distributor) withdrawAll(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, stale places) (kept places, problems []*Problem) {
	for _, name := range stale.Parameters {
		if err := d.withdrawParameter(ctx, object, name); err != nil {
			kept.Parameters = append(kept.Parameters, name)
			problems = append(problems, awsProblem(fmt.Errorf("withdrawing what was published: %w", err)))
		}
	}
	for _, name := range stale.ConfigMaps {
		if err := d.withdrawConfigMap(ctx, object, name); err != nil {
			kept.ConfigMaps = append(kept.ConfigMaps, name)
			problems = append(problems, clusterProblem(fmt.Errorf("withdrawing what was published: %w", err)))
		}
	}
	return kept, problems
}
