package template

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/controllers/binding/volume"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// allowed is what EC2 takes in descriptions of other resources, security groups for instance; of versions it does not say.
var allowed = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

func longest() record {
	return record{
		binding: uid, source: 99999, origin: 99998, was: "$Default", device: "/dev/xvdzz", snapshotID: "snap-0123456789abcdef0",
		former: &volume.Volume{SnapshotID: "snap-0123456789abcdef0", SizeGiB: 65536, Type: "standard", IOPS: 256000, Throughput: 2000, InitializationRate: 300},
	}
}

func TestRecordIsReadAsItWasWritten(t *testing.T) {
	restoring, adding, bare := longest(), longest(), longest()
	restoring.snapshotID = ""
	adding.former, adding.was = nil, ""
	bare.former = &volume.Volume{}
	for name, want := range map[string]record{"longest": longest(), "restoring": restoring, "adding": adding, "says nothing": bare} {
		text := want.String()
		if !allowed.MatchString(text) {
			t.Errorf("%s: EC2 does not take %q, of %d characters", name, text, len(text))
		}
		got, found := parseRecord(text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(record{})); diff != "" || !found {
			t.Errorf("%s: %q is read as another (-want +got):\n%s", name, text, diff)
		}
	}
	const want = "larder.dev binding=0b5a9b0e-7f3c-4f1e-9d8a-1c2d3e4f5a6b source=99999 origin=99998 was=$Default device=/dev/xvdzz " +
		"snapshot=snap-0123456789abcdef0 former=65536,standard,256000,2000,300,snap-0123456789abcdef0"
	if got := longest().String(); got != want {
		t.Errorf("versions that were made with an older Larder are not known any more: %q", got)
	}
}

func TestWhatIsNoRecord(t *testing.T) {
	text := longest().String()
	for name, description := range map[string]string{
		"nothing":          "",
		"a person's":       "with larder.dev",
		"more":             text + " copy",
		"less":             strings.TrimSuffix(text, " former=65536,standard,256000,2000,300,snap-0123456789abcdef0"),
		"another order":    strings.Replace(text, "source=99999 origin=99998", "origin=99998 source=99999", 1),
		"twice":            strings.Replace(text, "was=", "device=", 1),
		"a sign":           strings.Replace(text, "source=", "source=+", 1),
		"a zero":           strings.Replace(text, "origin=99998", "origin=0", 1),
		"a later origin":   strings.Replace(text, "origin=99998", "origin=100000", 1),
		"nobody's":         strings.Replace(text, string(uid), "", 1),
		"no device":        strings.Replace(text, "/dev/xvdzz", "", 1),
		"an unclear own":   strings.Replace(text, "former=65536,", "former=", 1),
		"a negative size":  strings.Replace(text, "65536", "-1", 1),
		"a size in words":  strings.Replace(text, "65536", "large", 1),
		"two spaces":       strings.Replace(text, " was", "  was", 1),
		"a capital letter": strings.Replace(text, "larder", "Larder", 1),
	} {
		if got, found := parseRecord(description); found {
			t.Errorf("%s: %q is read as %+v", name, description, got)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(longest().String())
	f.Add("larder.dev binding=a source=1 origin=1 was= device=d snapshot=restored former=absent")
	f.Add("larder.dev binding==a source=1 origin=1 was== device=d snapshot= former=0,,0,0,0,")
	f.Fuzz(func(t *testing.T, description string) {
		got, found := parseRecord(description)
		if found && got.String() != description {
			t.Errorf("%q is read as what is written %q", description, got)
		}
		if found && (got.binding == "" || got.device == "" || got.origin < 1 || got.source < got.origin) {
			t.Errorf("%q is read as %+v", description, got)
		}
	})
}

// A description proves nothing: people copy it, and versions are made of others.
func TestADescriptionThatItsDevicesContradictIsNotTrusted(t *testing.T) {
	with := record{binding: uid, source: 1, origin: 1, device: dataDevice, snapshotID: "snap-1"}
	removed, changed := with, with
	removed.snapshotID = ""
	changed.snapshotID, changed.former = "", &volume.Volume{SnapshotID: "snap-theirs"}
	later := with
	later.source, later.origin = 2, 2
	cases := map[string]struct {
		description record
		devices     []launch.Device
		want        bool
	}{
		"the snapshot":           {with, []launch.Device{data(from("snap-1"))}, true},
		"another snapshot":       {with, []launch.Device{data(from("snap-2"))}, false},
		"no snapshot":            {with, []launch.Device{data(nil)}, false},
		"no such device":         {with, []launch.Device{root()}, false},
		"no volume":              {with, []launch.Device{{Name: dataDevice, NoDevice: true}}, false},
		"gone":                   {removed, []launch.Device{root()}, true},
		"not gone":               {removed, []launch.Device{data(nil)}, false},
		"given back":             {changed, []launch.Device{data(from("snap-theirs"))}, true},
		"given back as another":  {changed, []launch.Device{data(from("snap-1"))}, false},
		"given back and removed": {changed, nil, false},
		"of a later version":     {later, []launch.Device{data(from("snap-1"))}, false},
	}
	for name, tc := range cases {
		s := newShelf(nil)
		made := s.version(1)
		made.Devices, made.Description = tc.devices, tc.description.String()
		s.add(made)
		if got := s.Read().IsOurs(uid, 2); got != tc.want {
			t.Errorf("%s: ours is %v", name, got)
		}
	}
}
