package distribution

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

var (
	simulatedRegions  = []string{"us-west-2", "ap-south-1", "eu-west-1"}
	simulatedAccounts = []larderv1alpha1.AccountID{alice, bob, carol}
	simulatedZones    = []larderv1alpha1.AvailabilityZone{"a", "b", "c"}
	simulatedPlaces   = []string{"", "one", "two"}
)

var errKilled = errors.New("the process was killed")

// fate says of each call whether it fails and whether the process dies at it. Regions are called at the same time, so
// the luck of a call depends on its Region and on the calls before it there, and not on which Region is first.
type fate struct {
	seed uint64

	mu     sync.Mutex
	calm   bool
	calls  map[string]int
	killed map[string]bool
}

func newFate(seed uint64) *fate {
	return &fate{seed: seed, calls: map[string]int{}, killed: map[string]bool{}}
}

func (f *fate) luck(where, call, when string) uint64 {
	f.calls[where]++
	sum := fnv.New64a()
	fmt.Fprint(sum, f.seed, where, call, when, f.calls[where])
	return sum.Sum64() % 1000
}

// strike fails a call, and all that come after it in the same place once the process is dead there. What is at home
// comes after all Regions, so it is dead with any of them.
func (f *fate) strike(where, call, when string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calm {
		return nil
	}
	if f.killed[where] || where == "home" && len(f.killed) > 0 {
		return errKilled
	}
	switch luck := f.luck(where, call, when); {
	case luck < 15:
		f.killed[where] = true
		return errKilled
	case luck < 50:
		return unavailable()
	}
	return nil
}

// restart brings the process back.
func (f *fate) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.killed)
}

// TestSimulation lives through random histories of crashes before and after every call, faults, edits, new and pinned
// revisions, and deletions behind our back, each of which has to end with exactly what the spec asks for.
func TestSimulation(t *testing.T) {
	for seed := range uint64(simulatedSeeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { simulate(t, seed) })
	}
}

func simulate(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t, randomSpec(random))
	w.cloud.hide = time.Duration(random.Int64N(int64(ebs.AppearsWithin)))
	w.cloud.copying = time.Duration(random.Int64N(int64(10 * time.Minute)))
	f := newFate(seed)
	w.cloud.before = func(where, call string) error { return f.strike(where, call, "before") }
	w.cloud.after = func(where, call string) error { return f.strike(where, call, "after") }
	w.cloud.spoil = func(region string) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return !f.calm && f.luck(region, "Copy", "spoil") < 200
	}
	w.cloud.check = w.checkCall

	revision := 1
	for range 100 {
		_ = w.pass() // whatever it is, the next pass comes
		f.restart()
		w.checkMemory()
		w.wait(time.Duration(random.Int64N(int64(max(w.outcome.After, time.Minute)))))
		switch event := random.IntN(100); {
		case event < 4:
			w.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { *spec = randomSpec(random) })
		case event < 6:
			revision++
			w.build(revision)
		case event < 8 && len(w.superseded) > 0:
			w.pin(random.IntN(len(w.superseded)))
		case event < 10:
			w.loseACopy(random)
		}
	}
	f.calm = true
	w.runFor(90 * time.Minute)
	w.checkSettled()
}

func randomSpec(random *rand.Rand) larderv1alpha1.ImageCacheSnapshotSpec {
	spec := larderv1alpha1.ImageCacheSnapshotSpec{
		Copies:     copiesIn(some(random, simulatedRegions)...),
		SharedWith: some(random, simulatedAccounts),
	}
	if zones := some(random, simulatedZones); len(zones) > 0 {
		spec.FastSnapshotRestore = restoresIn(zones...)
	}
	place := func() string { return simulatedPlaces[random.IntN(len(simulatedPlaces))] }
	parameter, configMap := place(), place()
	if parameter != "" {
		parameter = "/larder/" + parameter
	}
	if parameter+configMap != "" {
		spec.Publish = publishTo(parameter, configMap)
	}
	return spec
}

func some[E any](random *rand.Rand, all []E) []E {
	var chosen []E
	for _, one := range all {
		if random.IntN(2) == 0 {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

// runFor makes passes until the time is over, with nothing in their way.
func (w *world) runFor(duration time.Duration) {
	for until := w.clock.Now().Add(duration); w.clock.Now().Before(until); {
		w.mustPass()
		after := w.outcome.After
		if after == 0 {
			after = 5 * time.Minute
		}
		w.wait(after)
	}
}

// pin takes an older revision into use again.
func (w *world) pin(superseded int) {
	w.current, w.superseded[superseded] = w.superseded[superseded], w.current
}

// loseACopy deletes a copy behind everyone's back.
func (w *world) loseACopy(random *rand.Rand) {
	region := simulatedRegions[random.IntN(len(simulatedRegions))]
	if copies := w.cloud.copiesOf(region, w.current.ID); len(copies) > 0 {
		delete(w.cloud.snapshots, copies[0].ID)
	}
}

// checkCall holds at each call that changes something: the marker stands where the next process reads it.
func (w *world) checkCall(where, call string, details ...string) {
	exposed := split(w.current.Tags[ebs.TagExposed])
	switch call {
	case "Copy":
		w.checkCopy(where, details[0])
	case "Share":
		if len(details) > 1 && (details[0] != w.current.ID || !slices.Contains(exposed, exposedShared)) {
			w.t.Errorf("%v get snapshot %s, whose tags say %v", details[1:], details[0], exposed)
		}
	case "EnableFastRestore":
		if details[0] != w.current.ID || !slices.Contains(zonesOf(w.object()), details[1]) {
			w.t.Errorf("fast restore of %s in zone %s, the status names %v", details[0], details[1], zonesOf(w.object()))
		}
	case "CreateParameter", "UpdateParameter", "CreateConfigMap":
		if !slices.Contains(exposed, exposedPublished) || !strings.Contains(w.object().Annotations[AnnotationPublishedTo], `"`+details[0]+`"`) {
			w.t.Errorf("%s of %s: the tags say %v, the annotation %v", call, details[0], exposed, w.object().Annotations)
		}
	}
}

func (w *world) checkCopy(region, source string) {
	if source != w.current.ID || !slices.Contains(CopiedTo(w.current.Tags), region) || !slices.Contains(split(w.current.Tags[ebs.TagExposed]), exposedCopied) {
		w.t.Errorf("%s is copied to %s, the tags of %s say %v", source, region, w.current.ID, w.current.Tags)
	}
	if states(w.object())[region] != larderv1alpha1.CopyStarting {
		w.t.Errorf("%s is copied to %s without a marker: %+v", source, region, w.object().Status.Copies)
	}
	w.cloud.mu.Lock()
	looked := w.cloud.lastLook[region+source]
	w.cloud.mu.Unlock()
	if !looked.Equal(w.clock.Now()) {
		w.t.Errorf("%s is copied to %s without a look: the last one was at %s", source, region, looked)
	}
	for _, other := range w.cloud.copiesOf(region, source) {
		if !other.forgotten && other.State != ebs.StateError {
			w.t.Errorf("%s is copied to %s a second time, the first is %+v", source, region, other.Snapshot)
		}
	}
}

// checkMemory notes which copies the status has lost by an edit or another revision. Only those may be made twice, for
// as long as AWS does not list them.
func (w *world) checkMemory() {
	status := w.object().Status
	for _, region := range simulatedRegions {
		for _, source := range append(slices.Clone(w.superseded), w.current) {
			for _, one := range w.cloud.copiesOf(region, source.ID) {
				known := slices.ContainsFunc(status.Copies, func(c larderv1alpha1.CopyStatus) bool {
					return c.Region == region && fmt.Sprint(c.Revision) == source.Tags[ebs.TagRevision]
				})
				one.forgotten = one.forgotten || !known
			}
		}
	}
}

// checkSettled wants exactly what the spec asks for, and nothing more to be written.
func (w *world) checkSettled() {
	w.t.Helper()
	object := w.object()
	for kind, wanted := range asked(object.Spec) {
		if found := meta.IsStatusConditionTrue(object.Status.Conditions, kind); found != wanted {
			w.t.Errorf("%s is %t, want %t: %+v", kind, found, wanted, object.Status)
		}
	}
	w.checkSettledCopies(object)
	w.checkSettledShares(object)
	w.checkSettledRestores(object)
	w.checkSettledPlaces(object)
	w.cloud.forgetCalls()
	if again := w.mustPass(); again.ResourceVersion != object.ResourceVersion || len(w.cloud.writes) > 0 || len(w.outcome.Problems) > 0 {
		w.t.Errorf("a pass over a settled object wrote %v, with problems %v (-before +after):\n%s",
			w.cloud.writes, w.outcome.Problems, cmp.Diff(object.Status, again.Status))
	}
}

func (w *world) checkSettledCopies(object *larderv1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	if len(object.Status.Copies) != len(object.Spec.Copies) {
		w.t.Errorf("want copies %v, the status has %+v", object.Spec.Copies, object.Status.Copies)
	}
	for _, wanted := range object.Spec.Copies {
		copies := w.cloud.copiesOf(wanted.Region, w.current.ID)
		if len(copies) != 1 || copies[0].State != ebs.StateCompleted {
			w.t.Errorf("want exactly one completed copy in %s, got %d", wanted.Region, len(copies))
		}
	}
	for _, source := range append(slices.Clone(w.superseded), w.current) {
		for _, region := range simulatedRegions {
			if len(w.cloud.copiesOf(region, source.ID)) > 0 && !slices.Contains(CopiedTo(source.Tags), region) {
				w.t.Errorf("the collector would not find the copy of %s in %s: %v", source.ID, region, source.Tags)
			}
		}
	}
}

func (w *world) checkSettledShares(object *larderv1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	var wanted []string
	for _, account := range object.Spec.SharedWith {
		wanted = append(wanted, string(account))
	}
	if got := w.current.accounts(); !slices.Equal(wanted, got) {
		w.t.Errorf("shared with %v, want %v", got, wanted)
	}
	for _, one := range w.superseded {
		if more := without(one.accounts(), wanted); len(more) > 0 {
			w.t.Errorf("superseded %s is still shared with %v", one.ID, more)
		}
	}
}

func (w *world) checkSettledRestores(object *larderv1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	var wanted []string
	if object.Spec.FastSnapshotRestore != nil {
		for _, zone := range object.Spec.FastSnapshotRestore.AvailabilityZones {
			wanted = append(wanted, string(zone)+" enabled")
		}
	}
	if got := w.restored(w.current); got != strings.Join(wanted, ", ") {
		w.t.Errorf("fast restore: %q, want %q", got, wanted)
	}
	for _, one := range w.superseded {
		if got := w.restored(one); got != "" {
			w.t.Errorf("superseded %s is still paid for: %s", one.ID, got)
		}
	}
}

func (w *world) checkSettledPlaces(object *larderv1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	wanted := wantedPlaces(object.Spec.Publish)
	var got places
	for _, name := range simulatedPlaces[1:] {
		if parameter, there := w.cloud.params["/larder/"+name]; there {
			got.Parameters = append(got.Parameters, "/larder/"+name)
			if parameter.Value != w.current.ID {
				w.t.Errorf("parameter %s is %s, want %s", name, parameter.Value, w.current.ID)
			}
		}
		if configMap := w.configMap(name); configMap != nil {
			got.ConfigMaps = append(got.ConfigMaps, name)
			if configMap.Data["snapshotID"] != w.current.ID {
				w.t.Errorf("ConfigMap %s is %v, want %s", name, configMap.Data, w.current.ID)
			}
		}
	}
	if !got.equal(wanted) || !namedPlaces(object).equal(wanted) {
		w.t.Errorf("published to %+v and named %+v, want %+v", got, namedPlaces(object), wanted)
	}
}
