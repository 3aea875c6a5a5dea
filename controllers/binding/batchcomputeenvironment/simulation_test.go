package batchcomputeenvironment_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/batchcomputeenvironment"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// histories is how many random ones are tried, and steps how long each is.
const (
	histories = 300
	steps     = 40
)

var errEnded = errors.New("the operator has ended")

// history is a random one of an account: its owner, Batch, snapshots that are renewed, and an operator that ends at any
// call.
type history struct {
	*account
	random  *rand.Rand
	binding *v1alpha1.NodeClassBinding
	wanted  binding.Snapshot
}

// Whatever happens, no update is asked for while one runs, every instance boots with the wanted snapshot once it is quiet,
// no other device is lost, and in the end everything is the owner's again.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(histories) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := &history{account: newAccount(t), random: rand.New(rand.NewPCG(seed, seed)), binding: newBinding(), wanted: first}
			for id := range h.versions {
				h.versions[id] = nil
				h.publish(id, owner, "the owner's", ownersDevices(1)...)
			}
			for i := range h.environment.Templates {
				h.environment.Templates[i].Version = h.anyName("1")
			}
			for range steps {
				h.step()
			}
			h.settle(func(o binding.Observation) binding.Plan { return o.Plan(h.binding, h.wanted, h.clock.Now()) })
			h.check(h.wanted.ID)
			h.settle(func(o binding.Observation) binding.Plan { return o.PlanEnd(h.binding, h.clock.Now()) })
			h.check("")
		})
	}
}

// ownersDevices are those of a version of the owner: the root device says which.
func ownersDevices(number int64) []launch.Device {
	return []launch.Device{{Name: "/dev/xvda", EBS: &launch.Volume{SizeGiB: number}}, asBefore}
}

func (h *history) anyName(number string) string {
	return []string{number, "$Latest", "$Default", ""}[h.random.IntN(4)]
}

func (h *history) step() {
	id := h.environment.Templates[h.random.IntN(2)].ID
	switch h.random.IntN(8) {
	case 0:
		h.wanted = binding.Snapshot{ID: fmt.Sprint("snap-", h.random.IntN(100)), SizeGiB: 40}
	case 1:
		if h.environment.Status == batch.Updating {
			h.environment.Status = batch.Valid
		}
	case 2:
		made := h.publish(id, owner, "the owner's", ownersDevices(h.latest(id)+1)...)
		if h.random.IntN(2) == 0 {
			h.defaults[id] = made.Number
		}
	case 3:
		h.ownerUpdates()
	default:
		h.pass(time.Minute)
		h.reconcile()
	}
}

func (h *history) latest(id string) int64 { return h.versions[id][len(h.versions[id])-1].Number }

// ownerUpdates has the owner name a version of its own of one template.
func (h *history) ownerUpdates() {
	if h.environment.Status != batch.Valid {
		return
	}
	i := h.random.IntN(2)
	templates := slices.Clone(h.environment.Templates)
	for _, one := range h.versions[templates[i].ID] {
		if one.CreatedBy == owner && h.random.IntN(2) == 0 {
			templates[i].Version = h.anyName(strconv.FormatInt(one.Number, 10))
		}
	}
	h.environment.Templates, h.environment.Status = templates, batch.Updating
}

// reconcile makes one pass, which may end at any call that changes something, before its effect or after.
func (h *history) reconcile() {
	h.Helper()
	plan := h.plan(h.binding, h.wanted)
	h.ends = h.random.IntN(8)
	h.endsAfter = h.random.IntN(2) == 0
	err := h.write(plan)
	h.ends = 0
	switch {
	case err == nil && plan.Busy == nil && plan.Problem == nil:
		if h.binding.Status.AppliedSnapshotID != h.wanted.ID {
			h.written(h.binding, h.wanted)
		}
	case errors.Is(err, errEnded):
		h.target = &batchcomputeenvironment.Target{Environments: h, Templates: h, Bindings: nobody{}, Clock: h.clock}
	case err != nil:
		h.Fatal(err)
	case plan.Problem != nil:
		h.Fatal(plan.Problem)
	}
}

func (h *history) write(plan binding.Plan) error {
	planned := plan.Write
	if planned == nil {
		planned = plan.Upkeep
	}
	if held := plan.Busy != nil || plan.Problem != nil; held || planned == nil {
		return nil
	}
	return h.target.Act(h.Context(), planned)
}

// settle makes passes until nothing is left to do.
func (h *history) settle(plan func(binding.Observation) binding.Plan) {
	h.Helper()
	for range 10 {
		h.environment.Status = batch.Valid
		next := plan(h.observe(h.binding))
		if next.Problem != nil {
			h.Fatal(next.Problem)
		}
		if next.Write == nil && next.Upkeep == nil {
			return
		}
		if err := h.write(next); err != nil {
			h.Fatal(err)
		}
		if next.Write != nil {
			h.written(h.binding, h.wanted)
		}
	}
	h.Fatal("it does not come to an end")
}

// check has every template name a version with this snapshot, or with the owner's device for none.
func (h *history) check(snapshot string) {
	h.Helper()
	for i, named := range h.environment.Templates {
		version := h.meant(named)
		if len(version.Devices) != 2 || version.Devices[0].EBS.SizeGiB < 1 {
			h.Fatalf("template %d lost a device: %+v", i, version)
		}
		data := version.Devices[1].EBS
		if data.SnapshotID != snapshot || snapshot == "" && (data.SizeGiB != 30 || data.Type != "gp3" || data.Throughput != 0) {
			h.Errorf("template %d names %q: %+v, want %q", i, named.Version, data, snapshot)
		}
		if _, err := strconv.Atoi(named.Version); snapshot != "" && err != nil {
			h.Errorf("template %d names %q, which Batch does not look up again", i, named.Version)
		}
	}
}

// meant is the version that Batch would look up for a template.
func (h *history) meant(named batch.Template) launch.Version {
	h.Helper()
	number, _ := strconv.ParseInt(named.Version, 10, 64)
	switch named.Version {
	case "$Latest":
		number = h.latest(named.ID)
	case "$Default", "":
		number = h.defaults[named.ID]
	}
	for _, one := range h.versions[named.ID] {
		if one.Number == number {
			return one
		}
	}
	h.Fatalf("template %s has no version %q", named.ID, named.Version)
	return launch.Version{}
}
