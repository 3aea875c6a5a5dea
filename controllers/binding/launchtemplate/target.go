// Package launchtemplate has an EC2 launch template boot its instances with the snapshot of a NodeClassBinding: it publishes
// a version, makes it the default one if that is asked for, and has Auto Scaling groups follow.
//
// AWS shows all that is to be known: what groups launch by, what their instances were launched by, their instance
// refreshes, and in the descriptions of the versions what was before. So a pass goes on where another one ended.
package launchtemplate

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Kind is the kind of Target's subjects.
const Kind = "launch template"

// Templates are launch templates as this package needs them.
type Templates interface {
	template.Templates
	// SetDefault makes a version the template's default one.
	SetDefault(ctx context.Context, templateID string, number int64) error
}

// Groups are Auto Scaling groups as this package reads them.
type Groups interface {
	// Groups returns those of the named groups that exist, by their names.
	Groups(ctx context.Context, names []string) (map[string]launch.Group, error)
	// LatestRefresh returns a group's newest instance refresh; nil for none.
	LatestRefresh(ctx context.Context, group string) (*launch.Refresh, error)
	// FailedActivities returns what a group tried since then and could not do, the newest first.
	FailedActivities(ctx context.Context, group string, since time.Time) ([]launch.FailedActivity, error)
	// NamedNumbers returns the numbers of a template's versions that any group of the account needs.
	NamedNumbers(ctx context.Context, templateID, templateName string) ([]int64, error)
}

// Scaling changes Auto Scaling groups.
type Scaling interface {
	// UpdateGroup has a group launch by that number wherever it names a version of the template by one;
	// launch.ErrGroupChanged tells that it is not as it was observed.
	UpdateGroup(ctx context.Context, observed launch.Group, templateID string, number int64) error
	// StartRefresh starts an instance refresh.
	StartRefresh(ctx context.Context, refresh launch.NewRefresh) error
}

// Target reads and writes launch templates and their Auto Scaling groups. It implements binding.Target.
type Target struct {
	// Templates, Groups and Scaling are AWS's, for one account and Region.
	Templates Templates
	Groups    Groups
	Scaling   Scaling
	// Images says what AMIs of the templates are.
	Images preflight.Images
	// Bindings reads NodeClassBindings, from a cache if there is one.
	Bindings client.Reader
}

const (
	// atWork is when to look again at what AWS is doing.
	atWork = 30 * time.Second
	// afterDenied is when to look again whether somebody has mended what keeps Larder from writing: nothing tells of it.
	afterDenied = 10 * time.Minute
	// afterConflict leaves the writer that was faster the time to finish.
	afterConflict = time.Second
)

// Subject implements binding.Target.
func (t *Target) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	spec := b.Spec.Target.LaunchTemplate
	if spec == nil {
		return binding.Subject{}, false
	}
	return binding.Subject{
		Kind: Kind, Name: cmp.Or(spec.ID, spec.Name), Part: spec.Device.Name, Node: "instance", Pool: "Auto Scaling group",
	}, true
}

// observation is a launch template with the groups that a binding names. It implements binding.Observation.
type observation struct {
	// problem is why it could not be read; nil when it was.
	problem *binding.Problem
	history template.History
	// groups are in the order of the binding's.
	groups []group
	// images are the AMIs that instances boot from, and imageWarnings say why they are not known.
	images        []ami.Image
	imageWarnings []binding.Warning
	// named are the numbers of the template's versions that any group of the account needs, also one that the binding does
	// not name.
	named []int64
}

// group is an Auto Scaling group, what is asked for it, and what it did last.
type group struct {
	asked  v1alpha1.AutoScalingGroup
	exists bool
	launch.Group
	// refresh is the newest instance refresh; nil for none.
	refresh *launch.Refresh
	// failed is what it could not do since the binding's status.appliedTime, the newest first.
	failed []launch.FailedActivity
}

// Observe implements binding.Target. Nothing is kept between passes, so it is always live.
func (t *Target) Observe(ctx context.Context, b *v1alpha1.NodeClassBinding, _ binding.Freshness) (binding.Observation, error) {
	spec := b.Spec.Target.LaunchTemplate
	o := &observation{}
	err := t.readGroups(ctx, b, o)
	if err == nil {
		// After the groups: a version that is published meanwhile is found.
		o.history, o.problem, err = template.Read(ctx, t.Templates, t.Bindings, launch.Reference{ID: spec.ID, Name: spec.Name})
	}
	if err == nil && o.problem == nil {
		o.named, err = t.Groups.NamedNumbers(ctx, o.history.Template.ID, o.history.Template.Name)
	}
	if err != nil {
		return unread(err)
	}
	o.images, o.imageWarnings = preflight.ReadImages(ctx, t.Images, o.title(), o.imagesOf(b))
	return o, nil
}

func (t *Target) readGroups(ctx context.Context, b *v1alpha1.NodeClassBinding, o *observation) error {
	asked := b.Spec.Target.LaunchTemplate.AutoScalingGroups
	var names []string
	for _, one := range asked {
		names = append(names, one.Name)
	}
	if len(names) == 0 {
		return nil
	}
	found, err := t.Groups.Groups(ctx, names)
	if err != nil {
		return err
	}
	for _, one := range asked {
		read := group{asked: one}
		if read.Group, read.exists = found[one.Name]; read.exists {
			if read.refresh, err = t.Groups.LatestRefresh(ctx, one.Name); err != nil {
				return err
			}
			if applied := b.Status.AppliedTime; applied != nil {
				if read.failed, err = t.Groups.FailedActivities(ctx, one.Name, applied.Time); err != nil {
					return err
				}
			}
		}
		o.groups = append(o.groups, read)
	}
	return nil
}

// unread makes an observation of an error that a person has to do something about, and leaves any other one.
func unread(err error) (binding.Observation, error) {
	if aws.Classify(err) != aws.Stalled {
		return nil, err
	}
	return &observation{problem: &binding.Problem{
		Reason: v1alpha1.ReasonTargetUnreadable, Stalled: true, RetryAfter: afterDenied, Cause: err,
		Message: fmt.Sprintf("the Auto Scaling groups of the launch template cannot be read, since AWS refuses %s: %s: allow it to "+
			"Larder's role", aws.Action(err), aws.Words(err)),
	}}, nil
}
