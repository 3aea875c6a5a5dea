package template

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/controllers/binding/volume"
)

// prefix begins the description of each version that Larder makes.
const prefix = "larder.dev"

// restored takes a snapshot's place in the description of a version that gives the device back, and absent that of a
// device that the template did not have.
const (
	restored = "restored"
	absent   = "absent"
)

// record is what the description of a version says that Larder made. EC2 has no tags on versions, and this way what was
// before is read from where it is needed, whatever became of the version that said so:
//
//	larder.dev binding=UID source=4 origin=3 was=$Latest device=/dev/xvdb snapshot=snap-0123… former=40,gp3,3000,125,0,
type record struct {
	binding types.UID
	// source is the version that it was made from, and origin the last one before it that was not made for the binding.
	source, origin int64
	// was is what the consumer called the origin.
	was    string
	device string
	// snapshotID is empty for a version that gives the device back.
	snapshotID string
	// former is what the device was before the binding; nil when there was none.
	former *volume.Volume
}

// String is the description. It has at most 220 characters, of which EC2 takes 255, and none but letters, digits and ".=$/-,".
func (r record) String() string {
	snapshot := r.snapshotID
	if snapshot == "" {
		snapshot = restored
	}
	return fmt.Sprintf("%s binding=%s source=%d origin=%d was=%s device=%s snapshot=%s former=%s",
		prefix, r.binding, r.source, r.origin, r.was, r.device, snapshot, formerText(r.former))
}

func formerText(former *volume.Volume) string {
	if former == nil {
		return absent
	}
	return fmt.Sprintf("%d,%s,%d,%d,%d,%s", former.SizeGiB, former.Type, former.IOPS, former.Throughput, former.InitializationRate, former.SnapshotID)
}

// parseRecord reads a description; false for one that is not exactly what String writes.
func parseRecord(description string) (record, bool) {
	fields := strings.Split(description, " ")
	if len(fields) != 8 || fields[0] != prefix {
		return record{}, false
	}
	values := map[string]string{}
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		values[name] = value
	}
	r := record{
		binding: types.UID(values["binding"]), source: number(values["source"]), origin: number(values["origin"]), was: values["was"],
		device: values["device"], snapshotID: values["snapshot"], former: parseFormer(values["former"]),
	}
	if r.snapshotID == restored {
		r.snapshotID = ""
	}
	whole := r.binding != "" && r.device != "" && r.source > 0 && r.origin > 0 && r.origin <= r.source
	return r, whole && r.String() == description
}

func parseFormer(text string) *volume.Volume {
	fields := strings.Split(text, ",")
	if len(fields) != 6 {
		return nil
	}
	return &volume.Volume{
		SizeGiB: number(fields[0]), Type: fields[1], IOPS: number(fields[2]), Throughput: number(fields[3]),
		InitializationRate: number(fields[4]), SnapshotID: fields[5],
	}
}

// number returns 0 for what is none, which no record has where it matters: it would not be written the same.
func number(text string) int64 {
	parsed, err := strconv.ParseInt(text, 10, 64)
	if err != nil || parsed < 0 {
		return 0
	}
	return parsed
}
