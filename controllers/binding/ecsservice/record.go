package ecsservice

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

// The tags of a service that keep the record of a volume; the volume's name follows.
const (
	originalTag = "larder.dev/original-volume-"
	appliedTag  = "larder.dev/applied-snapshots-"
)

// What ECS takes as a tag: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html. A comma, which the name
// of a role may have, is not among the characters that all of AWS takes.
const longestTagKey, longestTagValue = 128, 256

var tagValue = regexp.MustCompile(`^[A-Za-z0-9 +\-=._:/@]*$`)

// noVolume stands for a service that had no configuration of the volume.
const noVolume = "none"

// record is what Larder notes on a service before it writes a volume.
type record struct {
	// exists tells that Larder has written, or was about to.
	exists bool
	// former is the volume as it was: what Larder changes of it. Its role is empty unless Larder changes that too. It is nil
	// when the service did not configure the volume.
	former *ecs.Volume
	// applied are the snapshots that the volume may name by Larder's doing: the one that was written last and, should that
	// write not have been made, the one of before.
	applied []string
}

func tagKeys(volume string) []string { return []string{originalTag + volume, appliedTag + volume} }

func readRecord(tags map[string]string, volume string) (record, error) {
	text, exists := tags[originalTag+volume]
	if !exists {
		return record{}, nil
	}
	r := record{exists: true, applied: strings.Fields(tags[appliedTag+volume])}
	if text == noVolume {
		return r, nil
	}
	r.former = &ecs.Volume{Name: volume}
	for _, word := range strings.Fields(text) {
		if err := setField(r.former, word); err != nil {
			return record{}, fmt.Errorf("reading tag %s: %w", originalTag+volume, err)
		}
	}
	return r, nil
}

func setField(volume *ecs.Volume, word string) error {
	key, value, _ := strings.Cut(word, "=")
	numbers := map[string]*int64{
		"size": &volume.SizeGiB, "iops": &volume.IOPS, "throughput": &volume.Throughput, "rate": &volume.InitializationRate,
	}
	texts := map[string]*string{
		"snapshot": &volume.SnapshotID, "type": &volume.Type, "filesystem": &volume.FilesystemType, "role": &volume.RoleARN,
	}
	if into := texts[key]; into != nil {
		*into = value
		return nil
	}
	into := numbers[key]
	if into == nil {
		return fmt.Errorf("%q is no field of a volume", word)
	}
	var err error
	*into, err = strconv.ParseInt(value, 10, 64)
	return err
}

// tags are the record as it stands on the service.
func (r record) tags(volume string) (map[string]string, *binding.Problem) {
	tags := map[string]string{originalTag + volume: noVolume, appliedTag + volume: strings.Join(r.applied, " ")}
	if r.former != nil {
		tags[originalTag+volume] = words(r.former)
	}
	for key, value := range tags {
		if len(key) > longestTagKey {
			return nil, invalid("the name of volume %s is too long for a tag, in which Larder keeps what the service had before: "+
				"give the volume a name of at most %d characters", volume, longestTagKey-len(appliedTag))
		}
		if len(value) > longestTagValue || !tagValue.MatchString(value) {
			return nil, invalid("what the service says of volume %s does not fit in a tag (%q), so it could not be restored: leave "+
				"ecsService.roleARN out, or give the service a role with a shorter ARN that has no comma", volume, value)
		}
	}
	return tags, nil
}

func words(volume *ecs.Volume) string {
	var all []string
	for _, field := range []struct{ key, value string }{
		{"snapshot", volume.SnapshotID}, {"size", decimal(volume.SizeGiB)}, {"type", volume.Type}, {"iops", decimal(volume.IOPS)},
		{"throughput", decimal(volume.Throughput)}, {"rate", decimal(volume.InitializationRate)},
		{"filesystem", volume.FilesystemType}, {"role", volume.RoleARN},
	} {
		if field.value != "" {
			all = append(all, field.key+"="+field.value)
		}
	}
	return strings.Join(all, " ")
}

// decimal is empty for zero, which is what is not said.
func decimal(value int64) string {
	if value == 0 {
		return ""
	}
	return strconv.FormatInt(value, 10)
}

// isOf tells whether the volume, as the service has it, is what Larder found or wrote. If it is not, somebody else wrote it
// since.
func (r record) isOf(current *ecs.Volume) bool {
	return r.exists && (r.hasWritten(current) || r.isFormer(current))
}

// isFormer tells whether the volume is as it was before Larder wrote it.
func (r record) isFormer(current *ecs.Volume) bool {
	if current == nil || r.former == nil {
		return current == nil && r.former == nil
	}
	return words(tuned(*current, r.former.RoleARN != "")) == words(r.former)
}

// hasWritten tells whether the volume is Larder's.
func (r record) hasWritten(current *ecs.Volume) bool {
	return current != nil && current.SnapshotID != "" && slices.Contains(r.applied, current.SnapshotID)
}

// tuned are the fields of a volume that a binding decides. All others stay as they are in the service.
func tuned(volume ecs.Volume, withRole bool) *ecs.Volume {
	of := &ecs.Volume{
		Name: volume.Name, SnapshotID: volume.SnapshotID, SizeGiB: volume.SizeGiB, Type: volume.Type, IOPS: volume.IOPS,
		Throughput: volume.Throughput, InitializationRate: volume.InitializationRate, FilesystemType: volume.FilesystemType,
	}
	if withRole {
		of.RoleARN = volume.RoleARN
	}
	return of
}

// taking returns the record for a volume that Larder is about to write over the current one. A snapshot that Larder applies
// is left out of what was there before, even when it was somebody else who wrote it: it will be deleted one day, and no
// task starts with a volume of a deleted snapshot.
func (r record) taking(current *ecs.Volume, wanted ecs.Volume, b *v1alpha1.NodeClassBinding) record {
	next := record{exists: true, former: r.former, applied: []string{wanted.SnapshotID}}
	if r.hasWritten(current) && current.SnapshotID != wanted.SnapshotID {
		next.applied = append(next.applied, current.SnapshotID)
	}
	switch {
	case !r.isOf(current) && current == nil:
		next.former = nil
	case !r.isOf(current):
		next.former = tuned(*current, false)
		if ours := append(larders(b), wanted.SnapshotID); current.SnapshotID != "" && slices.Contains(ours, current.SnapshotID) {
			withoutSnapshot(next.former, wanted.SizeGiB)
		}
	}
	if next.former != nil && current != nil && next.former.RoleARN == "" && current.RoleARN != wanted.RoleARN {
		former := *next.former
		former.RoleARN = current.RoleARN
		next.former = &former
	}
	return next
}

// withoutSnapshot makes an empty volume of one, which needs a size.
func withoutSnapshot(volume *ecs.Volume, sizeGiB int64) {
	volume.SnapshotID, volume.InitializationRate = "", 0 // ECS takes a rate only beside a snapshot
	if volume.SizeGiB == 0 {
		volume.SizeGiB = sizeGiB
	}
}

// larders are the snapshots that the binding has applied.
func larders(b *v1alpha1.NodeClassBinding) []string {
	return []string{b.Status.AppliedSnapshotID, b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID}
}

// restored returns what the service is to configure without Larder; none when it configured nothing before.
func (r record) restored(current ecs.Volume) []ecs.Volume {
	if r.former == nil {
		return nil
	}
	next := *r.former
	next.Encrypted, next.KMSKeyID, next.Tags = current.Encrypted, current.KMSKeyID, current.Tags
	if next.RoleARN == "" {
		next.RoleARN = current.RoleARN
	}
	return []ecs.Volume{next}
}

func invalid(format string, args ...any) *binding.Problem {
	return &binding.Problem{Reason: v1alpha1.ReasonDeviceInvalid, Stalled: true, Message: fmt.Sprintf(format, args...)}
}
