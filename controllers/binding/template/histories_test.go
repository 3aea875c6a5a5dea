package template

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// consumer is a binding and the version that its target is on.
type consumer struct {
	uid    types.UID
	device string
	on     int64
}

// story is a template that two bindings and people write, in random order.
type story struct {
	*testing.T
	*shelf
	random    *rand.Rand
	consumers []*consumer
	// plain is what each version would be if there were no Larder.
	plain map[int64][]launch.Device
	sizes int64
}

func newStory(t *testing.T, seed uint64) *story {
	s := &story{T: t, shelf: newShelf(), random: rand.New(rand.NewPCG(seed, seed)), plain: map[int64][]launch.Device{}, sizes: 30}
	s.consumers = []*consumer{{uid, dataDevice, 1}, {otherUID, "/dev/xvdc", 1}}
	s.config()
	return s
}

func (s *story) want(c *consumer) Want {
	return Want{Binding: c.uid, From: s.version(c.on), Device: v1alpha1.Device{Name: c.device}, Was: Latest}
}

// volume is one that no other version had: a size says whose it was.
func (s *story) volume(name string) launch.Device {
	s.sizes++
	disk := &launch.Volume{SizeGiB: s.sizes}
	if s.random.IntN(2) == 0 {
		disk.SnapshotID = fmt.Sprintf("snap-theirs-%d", s.sizes)
	}
	return launch.Device{Name: name, EBS: disk}
}

// config is a version that somebody makes from files that know nothing of Larder.
func (s *story) config() {
	var devices []launch.Device
	for _, name := range []string{"/dev/xvda", dataDevice, "/dev/xvdc"} {
		if s.random.IntN(2) == 0 {
			devices = append(devices, s.volume(name))
		}
	}
	if s.random.IntN(2) == 0 {
		devices = append(devices, launch.Device{Name: "/dev/xvdz", VirtualName: "ephemeral0"})
	}
	s.plain[s.add(launch.Version{ImageID: fmt.Sprintf("ami-%d", s.sizes), Devices: devices})] = devices
}

// copied is a version that somebody makes of the one that a consumer is on, in the console, with the description.
func (s *story) copied() {
	of := s.version(s.consumers[s.random.IntN(2)].on)
	plain := slices.Clone(s.plain[of.Number])
	of.Devices, of.ImageID, of.Description = slices.Clone(of.Devices), of.ImageID+"-copy", of.Description+" copy"
	if s.random.IntN(2) == 0 {
		changed := s.volume([]string{"/dev/xvda", dataDevice, "/dev/xvdc"}[s.random.IntN(3)])
		of.Devices, plain = replace(of.Devices, changed.Name, &changed), replace(plain, changed.Name, &changed)
	}
	s.plain[s.add(of)] = plain
}

// apply makes a step, and now and then ends before the consumer is told.
func (s *story) apply(c *consumer, step Step) {
	before := len(s.Versions)
	number := s.publish(s.T, step)
	if len(s.Versions) > before {
		s.plain[number] = s.plain[c.on]
	}
	if s.random.IntN(4) > 0 {
		c.on = number
	}
}

func (s *story) renew(c *consumer) {
	from := s.version(c.on)
	next := binding.Snapshot{ID: fmt.Sprintf("snap-%d", s.random.IntN(4)), SizeGiB: 10}
	step, problem := s.Read().With(s.want(c), next)
	if problem != nil {
		s.Fatal(problem)
	}
	s.apply(c, step)
	if again, problem := s.Read().With(s.want(c), next); problem != nil || again.Publish != nil {
		s.Fatalf("a second version of one content: %+v, %v", again, problem)
	}
	number := step.Number
	if step.Publish != nil {
		number = s.last
	}
	made := s.version(number)
	if s.Read().SnapshotOf(number, c.device) != next.ID || made.ImageID != from.ImageID {
		s.Fatalf("version %d is %+v", number, made)
	}
	s.sameOthers(c, from, made)
}

func (s *story) giveBack(c *consumer) {
	from := s.version(c.on)
	step, problem := s.Read().Without(s.want(c))
	if problem != nil {
		if len(from.Devices) == 1 && problem.Reason == v1alpha1.ReasonVersionNotFound {
			return // there is no version without devices to make it of
		}
		s.Fatal(problem)
	}
	s.apply(c, step)
	number := step.Number
	if step.Publish != nil {
		number = s.last
	}
	made := s.version(number)
	if diff := cmp.Diff(find(s.plain[from.Number], c.device), find(made.Devices, c.device)); diff != "" {
		s.Fatalf("%s of version %d, which was %q, is given back in version %d as it was not (-want +got):\n%s", c.device, from.Number, from.Description, number, diff)
	}
	s.sameOthers(c, from, made)
}

func (s *story) sameOthers(c *consumer, from, made launch.Version) {
	if !reflect.DeepEqual(replace(from.Devices, c.device, nil), replace(made.Devices, c.device, nil)) {
		s.Fatalf("other devices: %s, before %s", describe(made.Devices), describe(from.Devices))
	}
}

func (s *story) prune(c *consumer) {
	before := s.Read()
	numbers := before.Prunable(c.uid, s.consumers[0].on, s.consumers[1].on)
	for _, number := range numbers {
		if !before.IsOurs(c.uid, number) || number == 1 || number == s.last {
			s.Fatalf("version %d, %+v, would be deleted", number, s.version(number))
		}
	}
	if err := s.DeleteVersions(s.Context(), templateID, numbers); err != nil {
		s.Fatal(err)
	}
}

// lose deletes a person's version that nothing launches with.
func (s *story) lose() {
	at := s.random.IntN(len(s.Versions))
	one := s.Versions[at]
	if s.Read().OwnerOf(one.Number) == "" && !one.Default && one.Number != s.consumers[0].on && one.Number != s.consumers[1].on && at < len(s.Versions)-1 {
		s.Versions = slices.Delete(s.Versions, at, at+1)
	}
}

// Whatever people and another binding do between, no device is lost, nobody else's version is deleted, one content is
// published once, and what is given back is what was there before.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newStory(t, seed)
			for range 60 {
				c := s.consumers[s.random.IntN(2)]
				switch s.random.IntN(9) {
				case 0:
					s.config()
				case 1:
					s.copied()
				case 2:
					c.on = s.last // somebody has it launch the latest one
				case 3:
					s.lose()
				case 4:
					s.prune(c)
				case 5:
					s.giveBack(c)
				default:
					s.renew(c)
				}
			}
		})
	}
}
