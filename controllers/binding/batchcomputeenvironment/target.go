// Package batchcomputeenvironment has the instances of a compute environment of AWS Batch boot with a snapshot: it publishes
// a version of the environment's launch template, and of those of its overrides, and has Batch launch with them. What the
// environment named before is in the versions' descriptions, and comes back with the binding's end.
//
// Batch replaces all instances at such an update, at the pace of the environment's own update policy. It tells neither how
// many instances there are nor which of them are replaced already, only how many vCPUs they are to have; so what this target
// counts is vCPUs.
package batchcomputeenvironment

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
)

const (
	// lookAgain is how soon an environment is read again that a person has to change, or permit to read or write: no watch
	// tells of it.
	lookAgain = 10 * time.Minute
	// changingRetry is how soon an environment is read again that Batch is changing.
	changingRetry = 30 * time.Second
	// patience is how long somebody else's change may take until a person is told.
	patience = time.Hour
)

// Environments are compute environments as this target needs them.
type Environments interface {
	// Describe returns one; nil when there is none of that name.
	Describe(ctx context.Context, name string) (*batch.ComputeEnvironment, error)
	// Update has one launch with these templates and no others. It is refused while Batch changes the environment.
	Update(ctx context.Context, name string, templates []batch.Template) error
}

// Target reads and updates compute environments. It implements binding.Target.
type Target struct {
	// Environments are the account's.
	Environments Environments
	// Templates are its launch templates.
	Templates template.Templates
	// Images says what its AMIs are.
	Images preflight.Images
	// Bindings reads NodeClassBindings, from a cache if there is one.
	Bindings client.Reader
	// Clock tells for how long an environment has been changing.
	Clock clock.PassiveClock

	changing firstSeen
}

// observation is a compute environment as it was read. It implements binding.Observation.
type observation struct {
	// environment is nil when there is none, or when problem says why it could not be read.
	environment *batch.ComputeEnvironment
	problem     *binding.Problem
	// uses are its launch templates, in the order of environment.Templates.
	uses []use
	// changingSince is when this operator first saw the change that is under way; zero when none is.
	changingSince time.Time
	// images are the AMIs that instances boot from, and imageWarnings say why they are not known.
	images        []ami.Image
	imageWarnings []binding.Warning
}

// Kind is the kind of Target's subjects.
const Kind = "Batch compute environment"

// Subject implements binding.Target.
func (t *Target) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	of := b.Spec.Target.BatchComputeEnvironment
	if of == nil {
		return binding.Subject{}, false
	}
	return binding.Subject{
		Kind: Kind, Name: of.Name, Part: of.Device.Name, Node: "vCPU", Pool: "compute environment", Serves: "new instances boot with",
	}, true
}

// Observe implements binding.Target.
func (t *Target) Observe(ctx context.Context, b *v1alpha1.NodeClassBinding, _ binding.Freshness) (binding.Observation, error) {
	name := b.Spec.Target.BatchComputeEnvironment.Name
	environment, err := t.Environments.Describe(ctx, name)
	switch {
	case aws.IsAccessDenied(err):
		return &observation{problem: unreadable(name, err)}, nil
	case err != nil:
		return nil, err
	case isGone(environment):
		return &observation{}, nil
	}
	o := &observation{environment: environment}
	if isChanging(environment) {
		o.changingSince = t.changing.since(environment.ID, t.Clock.Now())
	} else {
		t.changing.forget(environment.ID)
	}
	if o.uses, err = t.readUses(ctx, environment); err != nil {
		return nil, err
	}
	o.images, o.imageWarnings = preflight.ReadImages(ctx, t.Images, Kind+" "+name, o.imagesOf())
	return o, nil
}

// readUses reads each template once, however many overrides name it.
func (t *Target) readUses(ctx context.Context, environment *batch.ComputeEnvironment) ([]use, error) {
	known := map[launch.Reference]use{}
	uses := make([]use, 0, len(environment.Templates))
	for _, named := range environment.Templates {
		reference := launch.Reference{ID: named.ID, Name: named.Name}
		read, found := known[reference]
		if !found {
			var err error
			if read.history, read.problem, err = template.Read(ctx, t.Templates, t.Bindings, reference); err != nil {
				return nil, err
			}
			known[reference] = read
		}
		read.named = named
		uses = append(uses, read)
	}
	return uses, nil
}

func isGone(environment *batch.ComputeEnvironment) bool {
	return environment == nil || environment.Status == batch.Deleting || environment.Status == batch.Deleted
}

func isChanging(environment *batch.ComputeEnvironment) bool {
	return environment.Status == batch.Creating || environment.Status == batch.Updating
}

func unreadable(name string, err error) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetUnreadable, Stalled: true, RetryAfter: lookAgain, Cause: err,
		Message: fmt.Sprintf("compute environment %s cannot be read, since AWS refuses %s: %s: allow it to Larder's role",
			name, aws.Action(err), aws.Words(err)),
	}
}

// firstSeen remembers since when environments have been seen changing: Batch does not tell when a change began. With the
// operator the memory ends, and the hour that a person is not bothered in begins anew.
type firstSeen struct {
	mu sync.Mutex
	at map[string]time.Time
}

func (f *firstSeen) since(id string, now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[string]time.Time{}
	}
	if _, seen := f.at[id]; !seen {
		f.at[id] = now
	}
	return f.at[id]
}

func (f *firstSeen) forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.at, id)
}
