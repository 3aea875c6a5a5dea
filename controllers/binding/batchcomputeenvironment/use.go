package batchcomputeenvironment

import (
	"slices"
	"strconv"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// use is one of the launch templates of an environment: its own, or that of an override.
type use struct {
	// named is how the environment names it.
	named batch.Template
	// history is the template with its versions, and problem why there is none.
	history template.History
	problem *binding.Problem
}

// change is what one of the launch templates becomes.
type change struct {
	// named is how the environment is to name it, but for a version of which only step knows the number.
	named batch.Template
	// step is the version to be on; nil when named says all of it.
	step *template.Step
	// afterwards is what the version is then called instead of its number; empty for the number.
	afterwards string
}

// current returns the version that the use names. One that was deleted has only its number.
func (u use) current() launch.Version {
	if found, ok := u.history.Resolve(u.named.Version); ok {
		return found
	}
	number, _ := strconv.ParseInt(u.named.Version, 10, 64) // any other name stands for a version that exists
	return launch.Version{TemplateID: u.history.Template.ID, Number: number}
}

// isNumbered tells whether the use names a version by its number. What any other name stands for is looked up by Batch at an
// update alone, so that nobody knows which version the instances have.
func (u use) isNumbered() bool { return u.named.Version == strconv.FormatInt(u.current().Number, 10) }

// isOurs tells whether instances are launched with a version that was made for the binding, or left to it.
func (u use) isOurs(b *v1alpha1.NodeClassBinding) bool {
	return u.isNumbered() && u.holds(b, u.current().Number)
}

// holds tells whether a version was made for the binding, or left to it.
func (u use) holds(b *v1alpha1.NodeClassBinding, number int64) bool {
	return u.history.IsOurs(b.UID, number) || u.history.IsLeftTo(b, deviceOf(b), number)
}

// want is what the binding wants of the version after the current one.
func (u use) want(b *v1alpha1.NodeClassBinding, root string, snapshot string) template.Want {
	current := u.current()
	want := template.Want{
		Binding: b.UID, From: current, Device: b.Spec.Target.BatchComputeEnvironment.Device, Was: u.named.Version, NewerThan: current.Number,
		MayName: []string{b.Status.AppliedSnapshotID, b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, snapshot},
	}
	if current.ImageID == "" {
		want.RootDevice = root
	}
	want.MayName = slices.DeleteFunc(want.MayName, func(id string) bool { return id == "" })
	return want
}

// with plans the version that boots with the snapshot.
func (u use) with(b *v1alpha1.NodeClassBinding, root string, snapshot binding.Snapshot) (change, *binding.Problem) {
	if u.problem != nil {
		return change{}, u.problem
	}
	want := u.want(b, root, snapshot.ID)
	step, problem := u.history.With(want, snapshot)
	if problem != nil || snapshot.ID == "" {
		return change{}, problem
	}
	if own, found := u.ownersNewer(b); found && !u.isAlready(step) {
		// The owner left it to Batch to take the newest at each update, and this is one.
		want.From, want.Was = own, u.history.WasCalled(b.UID, deviceOf(b), u.current().Number)
		if step, problem = u.history.With(want, snapshot); problem != nil {
			return change{}, problem
		}
	}
	return change{named: u.named, step: &step}, nil
}

// isAlready tells whether instances are launched with the step's version.
func (u use) isAlready(step template.Step) bool {
	return step.Publish == nil && u.named.Version == strconv.FormatInt(step.Number, 10)
}

// ownersNewer returns the version that a use of ours would stand for by its former name, if somebody made or chose that one
// since.
func (u use) ownersNewer(b *v1alpha1.NodeClassBinding) (launch.Version, bool) {
	current := u.current()
	if !u.isOurs(b) {
		return launch.Version{}, false
	}
	origin, _ := u.history.Origin(b.UID, deviceOf(b), current.Number)
	switch u.history.WasCalled(b.UID, deviceOf(b), current.Number) {
	case template.Latest:
		for _, one := range slices.Backward(u.history.Versions) {
			if !u.holds(b, one.Number) {
				return one, one.Number > current.Number
			}
		}
	case template.Default, "":
		standard, found := u.history.Resolve(template.Default)
		return standard, found && standard.Number != origin.Number && !u.holds(b, standard.Number)
	}
	return launch.Version{}, false
}

// without plans the version that is as before the binding, by the name that it had before. What is not ours stays.
func (u use) without(b *v1alpha1.NodeClassBinding) (change, *binding.Problem) {
	if u.isOthers(b) {
		return change{named: u.named}, nil
	}
	current := u.current()
	want := u.want(b, "", "")
	was, afterwards := u.history.WasCalled(b.UID, deviceOf(b), current.Number), ""
	if was == "" || was == template.Latest || was == template.Default {
		means, _ := u.history.Resolve(was)
		switch {
		case !u.holds(b, means.Number): // it is the owner's own again
			named := u.named
			named.Version = was
			return change{named: named}, nil
		case was == template.Latest:
			want.From, want.NewerThan, afterwards = means, means.Number, was
		}
	}
	step, problem := u.history.Without(want)
	return change{named: u.named, step: &step, afterwards: afterwards}, problem
}

// isOthers tells whether nothing of the use is the binding's, or nothing is left that could be.
func (u use) isOthers(b *v1alpha1.NodeClassBinding) bool {
	return u.problem != nil || !u.holds(b, u.current().Number)
}

func deviceOf(b *v1alpha1.NodeClassBinding) string {
	return b.Spec.Target.BatchComputeEnvironment.Device.Name
}

// changes tells whether the environment has to be updated for it.
func (c change) changes(u use) bool {
	switch {
	case c.step == nil:
		return c.named.Version != u.named.Version
	case c.afterwards != "":
		return c.step.Publish != nil || c.afterwards != u.named.Version
	default:
		return !u.isAlready(*c.step)
	}
}
