package template

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/launch"
)

const (
	dataDevice = "/dev/xvdb"
	uid        = types.UID("0b5a9b0e-7f3c-4f1e-9d8a-1c2d3e4f5a6b")
	otherUID   = types.UID("11111111-2222-3333-4444-555555555555")
	templateID = "lt-0123456789abcdef0"
)

// shelf is EC2 with one launch template. A nil error of fail makes the call.
type shelf struct {
	History
	last  int64
	made  map[string]int64
	fail  error
	calls []string
}

// newShelf has a template whose versions have these devices, the first of which is the default one.
func newShelf(versions ...[]launch.Device) *shelf {
	s := &shelf{made: map[string]int64{}}
	s.Template = launch.Template{ID: templateID, Name: "workers", DefaultVersion: 1}
	for _, devices := range versions {
		s.add(launch.Version{ImageID: "ami-1", InstanceType: "m5.large", UserData: "eA==", CreatedBy: "user", Devices: devices})
	}
	return s
}

func (s *shelf) add(version launch.Version) int64 {
	s.last++
	version.TemplateID, version.Number, version.Default = templateID, s.last, s.last == s.Template.DefaultVersion
	s.Versions = append(s.Versions, version)
	s.Template.LatestVersion = s.last
	return s.last
}

func (s *shelf) Read() History {
	return History{Template: s.Template, Versions: slices.Clone(s.Versions), Bindings: s.Bindings}
}

func (s *shelf) version(number int64) launch.Version {
	found, _ := s.History.version(number)
	return found
}

func (s *shelf) CreateVersion(_ context.Context, version launch.NewVersion) (launch.Version, error) {
	s.calls = append(s.calls, "CreateVersion")
	if s.fail != nil {
		return launch.Version{}, s.fail
	}
	if number, made := s.made[version.Token]; made {
		return s.version(number), nil
	}
	source, found := s.History.version(version.Source)
	if !found || version.TemplateID != templateID {
		return launch.Version{}, &smithy.GenericAPIError{Code: "InvalidLaunchTemplateId.VersionNotFound", Message: "no such version"}
	}
	if len(version.Devices) == 0 && len(source.Devices) != 0 {
		return launch.Version{}, errors.New("EC2 takes the source's devices when it is given none")
	}
	source.Devices, source.Description, source.CreatedBy = version.Devices, version.Description, "larder"
	s.made[version.Token] = s.add(source)
	return s.version(s.last), nil
}

func (s *shelf) DeleteVersions(_ context.Context, _ string, numbers []int64) error {
	s.Versions = slices.DeleteFunc(s.Versions, func(one launch.Version) bool { return slices.Contains(numbers, one.Number) })
	return nil
}

// stand is what Publish needs of the shelf, which has a field of another method's name.
type stand struct{ *shelf }

func (s stand) Template(context.Context, launch.Reference) (launch.Template, error) {
	return s.History.Template, s.fail
}

func (s stand) Versions(context.Context, string) ([]launch.Version, error) {
	return s.History.Versions, s.fail
}

func (s *shelf) publish(t *testing.T, step Step) int64 {
	t.Helper()
	number, err := Publish(t.Context(), stand{s}, step)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func (s *shelf) want(from int64) Want {
	return Want{Binding: uid, From: s.version(from), Device: v1alpha1.Device{Name: dataDevice}, Was: Latest}
}

func root() launch.Device {
	return launch.Device{Name: "/dev/xvda", EBS: &launch.Volume{SizeGiB: 8, Type: "gp3"}}
}

func data(change func(*launch.Volume)) launch.Device {
	disk := launch.Volume{SizeGiB: 40, Type: "gp3", Throughput: 500}
	if change != nil {
		change(&disk)
	}
	return launch.Device{Name: dataDevice, EBS: &disk}
}

func from(snapshot string) func(*launch.Volume) {
	return func(disk *launch.Volume) { disk.SnapshotID = snapshot }
}

// added is the device as Larder adds it where there was none.
func added(snapshot string) launch.Device {
	yes := true
	return data(func(disk *launch.Volume) {
		disk.SnapshotID, disk.SizeGiB, disk.Encrypted, disk.DeleteOnTermination = snapshot, 20, &yes, &yes
	})
}

func describe(devices []launch.Device) string {
	var said []string
	for _, device := range devices {
		text := device.Name + " " + device.VirtualName
		if device.EBS != nil {
			text += fmt.Sprintf("%+v", *device.EBS)
		}
		said = append(said, text)
	}
	return strings.Join(said, "; ")
}
