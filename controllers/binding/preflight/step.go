package preflight

import (
	"strconv"

	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// ReadStep takes what the version that a step makes, or goes to, tells of the nodes, and the volume that it brings them. Of
// a step that could not be planned, and is zero, it is what nodes launch with now.
func (in *Input) ReadStep(history template.History, now launch.Version, step template.Step) {
	switch {
	case step.Publish != nil:
		source, _ := history.Resolve(strconv.FormatInt(step.Publish.Source, 10))
		in.ReadVersion(source)
		in.Wanted = VolumeIn(step.Publish.Devices, in.Device)
	case step.Number != 0:
		version, _ := history.Resolve(strconv.FormatInt(step.Number, 10))
		in.ReadVersion(version)
		in.Wanted = VolumeIn(version.Devices, in.Device)
	default:
		in.ReadVersion(now)
	}
}
