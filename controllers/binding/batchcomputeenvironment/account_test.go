package batchcomputeenvironment_test

import (
	"context"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/batchcomputeenvironment"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
)

var (
	morning = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	first   = binding.Snapshot{ID: "snap-1", SizeGiB: 40, Format: v1alpha1.FormatFiles}
	second  = binding.Snapshot{ID: "snap-2", SizeGiB: 40, Format: v1alpha1.FormatFiles}
)

const (
	owner = "arn:aws:iam::111122223333:user/owner"
	us    = "arn:aws:iam::111122223333:role/larder"
)

// mounting is user data in base64 that mounts the data device.
var mounting = base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\nmount /dev/xvdb /models\n"))

// account has one environment, "gpu", that launches with "lt-workers" and, for g5, with "lt-gpus". It implements what the
// target needs of AWS.
type account struct {
	*testing.T
	target      *batchcomputeenvironment.Target
	clock       *testingclock.FakePassiveClock
	environment *batch.ComputeEnvironment
	versions    map[string][]launch.Version
	defaults    map[string]int64
	// called are the mutating calls. refuse is what comes of an update, and during happens right before it.
	called []string
	refuse error
	during func()
	// ends is the number of the coming call that changes something at which the operator ends, after its effect or before;
	// 0 for none.
	ends      int
	endsAfter bool
}

// nobody is a cluster without bindings.
type nobody struct{ client.Reader }

func (nobody) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func newAccount(t *testing.T) *account {
	a := &account{T: t, clock: testingclock.NewFakePassiveClock(morning), versions: map[string][]launch.Version{}, defaults: map[string]int64{}}
	a.target = &batchcomputeenvironment.Target{Environments: a, Templates: a, Bindings: nobody{}, Clock: a.clock}
	for _, id := range []string{"lt-workers", "lt-gpus"} {
		a.publish(id, owner, "the owner's", launch.Device{Name: "/dev/xvdb", EBS: &launch.Volume{SizeGiB: 30, Type: "gp3"}})
		a.defaults[id] = 1
	}
	a.environment = &batch.ComputeEnvironment{
		Name: "gpu", ID: "uuid-1", Status: batch.Valid, Managed: true, AllocationStrategy: "BEST_FIT_PROGRESSIVE", DesiredVCPUs: 16,
		Templates: []batch.Template{{ID: "lt-workers", Version: "1"}, {ID: "lt-gpus", Version: "1", InstanceTypes: []string{"g5"}}},
	}
	return a
}

func (a *account) publish(id, by, description string, devices ...launch.Device) launch.Version {
	number := int64(1)
	if had := a.versions[id]; len(had) > 0 {
		number = had[len(had)-1].Number + 1
	}
	made := launch.Version{
		TemplateID: id, Number: number, Description: description, CreatedBy: by, CreateTime: a.clock.Now(), Devices: devices,
		UserData: mounting,
	}
	a.versions[id] = append(a.versions[id], made)
	return made
}

func (a *account) Describe(context.Context, string) (*batch.ComputeEnvironment, error) {
	if a.environment == nil {
		return nil, nil
	}
	found := *a.environment
	found.Templates = slices.Clone(found.Templates)
	return &found, nil
}

// change carries out a call, unless the operator ends at it.
func (a *account) change(what string, carryOut func()) error {
	if a.ends--; a.ends == 0 && !a.endsAfter {
		return errEnded
	}
	a.called = append(a.called, what)
	carryOut()
	if a.ends == 0 {
		return errEnded
	}
	return nil
}

func (a *account) Update(_ context.Context, _ string, templates []batch.Template) error {
	if a.environment.Status == batch.Updating {
		a.Error("an update is asked for while one runs")
	}
	if a.during != nil {
		a.during()
	}
	if a.refuse != nil {
		a.called = append(a.called, "Update")
		return a.refuse
	}
	return a.change("Update", func() { a.environment.Templates, a.environment.Status = templates, batch.Updating })
}

func (a *account) Template(_ context.Context, of launch.Reference) (launch.Template, error) {
	versions := a.versions[of.ID]
	return launch.Template{ID: of.ID, DefaultVersion: a.defaults[of.ID], LatestVersion: versions[len(versions)-1].Number}, nil
}

func (a *account) Versions(_ context.Context, id string) ([]launch.Version, error) {
	versions := slices.Clone(a.versions[id])
	for i := range versions {
		versions[i].Default = versions[i].Number == a.defaults[id]
	}
	return versions, nil
}

func (a *account) CreateVersion(_ context.Context, version launch.NewVersion) (made launch.Version, err error) {
	err = a.change("CreateVersion "+version.TemplateID, func() {
		made = a.publish(version.TemplateID, us, version.Description, version.Devices...)
	})
	return made, err
}

func (a *account) DeleteVersions(_ context.Context, id string, numbers []int64) error {
	return a.change("DeleteVersions "+id, func() {
		a.versions[id] = slices.DeleteFunc(a.versions[id], func(one launch.Version) bool { return slices.Contains(numbers, one.Number) })
	})
}

func newBinding() *v1alpha1.NodeClassBinding {
	return &v1alpha1.NodeClassBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b", UID: "uid-b"},
		Spec: v1alpha1.NodeClassBindingSpec{Target: v1alpha1.Target{BatchComputeEnvironment: &v1alpha1.BatchComputeEnvironmentTarget{
			Name: "gpu", Device: v1alpha1.Device{Name: "/dev/xvdb"},
		}}},
	}
}

// written has the binding's status say that a snapshot was applied now.
func (a *account) written(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) {
	b.Status.AppliedSnapshotID, b.Status.AppliedTime = snapshot.ID, &metav1.Time{Time: a.clock.Now()}
}

func (a *account) observe(b *v1alpha1.NodeClassBinding) binding.Observation {
	a.Helper()
	o, err := a.target.Observe(a.Context(), b, binding.Live)
	if err != nil {
		a.Fatal(err)
	}
	return o
}

func (a *account) plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) binding.Plan {
	a.Helper()
	return a.observe(b).Plan(b, snapshot, a.clock.Now())
}

// apply writes the snapshot, if the plan says so, and ends the update.
func (a *account) apply(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) {
	a.Helper()
	a.carryOut(a.plan(b, snapshot))
	a.written(b, snapshot)
}

func (a *account) carryOut(plan binding.Plan) {
	a.Helper()
	if plan.Problem != nil {
		a.Fatal(plan.Problem)
	}
	if plan.Write == nil {
		a.Fatal("nothing is to be written")
	}
	if err := a.target.Act(a.Context(), plan.Write); err != nil {
		a.Fatal(err)
	}
	a.environment.Status = batch.Valid
}

func (a *account) pass(d time.Duration) { a.clock.SetTime(a.clock.Now().Add(d)) }

// named are the versions that the environment names, its own first.
func (a *account) named() []string {
	var versions []string
	for _, one := range a.environment.Templates {
		versions = append(versions, one.Version)
	}
	return versions
}

// snapshotOf returns what a version's /dev/xvdb is made from.
func (a *account) snapshotOf(id string, number int64) string {
	for _, one := range a.versions[id] {
		for _, device := range one.Devices {
			if one.Number == number && device.Name == "/dev/xvdb" && device.EBS != nil {
				return device.EBS.SnapshotID
			}
		}
	}
	return ""
}
