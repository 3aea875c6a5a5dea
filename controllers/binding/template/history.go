// Package template makes versions of launch templates whose nodes boot with a snapshot, and others that give the device
// back. What was before is in the descriptions of the versions, so that a restart needs no memory. It is pure but for Read
// and Publish.
package template

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Templates are launch templates as this package needs them.
type Templates interface {
	// Template returns one, or an error for which IsNotFound of internal/aws holds.
	Template(ctx context.Context, of launch.Reference) (launch.Template, error)
	// Versions returns all of a template's versions in the order of their numbers.
	Versions(ctx context.Context, templateID string) ([]launch.Version, error)
	// CreateVersion makes one; a *launch.RefusedError says that nothing could be launched with it.
	CreateVersion(ctx context.Context, version launch.NewVersion) (launch.Version, error)
	// DeleteVersions deletes some; those that do not exist are no error.
	DeleteVersions(ctx context.Context, templateID string, numbers []int64) error
}

// Names of versions that stand for a number.
const (
	Latest  = "$Latest"
	Default = "$Default"
)

// afterPerson is when to look again whether somebody has done what a message asks for: nothing tells of it.
const afterPerson = 10 * time.Minute

// History is one launch template with all its versions.
type History struct {
	// Template is the template itself.
	Template launch.Template
	// Versions are all of them, in the order of their numbers.
	Versions []launch.Version
	// Bindings are the names of this cluster's bindings by their UIDs: a version that was made for any other is left behind.
	Bindings map[types.UID]string
}

// Read reads a launch template, and from the reader which bindings there are. The problem is TargetUnreadable or LaunchTemplateNotFound; an error is for trying again.
func Read(ctx context.Context, from Templates, reader client.Reader, of launch.Reference) (History, *binding.Problem, error) {
	template, err := from.Template(ctx, of)
	if err != nil {
		return unread(of, err)
	}
	versions, err := from.Versions(ctx, template.ID)
	if err != nil {
		return unread(of, err)
	}
	bindings, err := readBindings(ctx, reader)
	return History{Template: template, Versions: versions, Bindings: bindings}, nil, err
}

func unread(of launch.Reference, err error) (History, *binding.Problem, error) {
	switch {
	case aws.IsNotFound(err):
		return History{}, notFound(of, err), nil
	case aws.Classify(err) == aws.Stalled:
		return History{}, &binding.Problem{
			Reason: v1alpha1.ReasonTargetUnreadable, Stalled: true, RetryAfter: afterPerson, Cause: err,
			Message: fmt.Sprintf("%s cannot be read, since AWS refuses %s: %s: allow it to Larder's role", of, aws.Action(err), aws.Words(err)),
		}, nil
	default:
		return History{}, nil, err
	}
}

func notFound(of launch.Reference, err error) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTemplateNotFound, Stalled: true, RetryAfter: afterPerson, Cause: err,
		Message: fmt.Sprintf("this account has no %s in the operator's Region, and Larder cannot write another account's: make one, "+
			"or name one of this account", of),
	}
}

// Resolve returns the version that a consumer means by a number, "$Latest", "$Default" or nothing, which is the default one.
func (h History) Resolve(version string) (launch.Version, bool) {
	switch version {
	case Latest:
		if len(h.Versions) == 0 {
			return launch.Version{}, false
		}
		return h.Versions[len(h.Versions)-1], true
	case Default, "":
		for _, one := range h.Versions {
			if one.Default {
				return one, true
			}
		}
		return launch.Version{}, false
	default:
		number, err := strconv.ParseInt(version, 10, 64)
		if err != nil {
			return launch.Version{}, false
		}
		return h.version(number)
	}
}

func (h History) version(number int64) (launch.Version, bool) {
	at, found := slices.BinarySearchFunc(h.Versions, number, func(one launch.Version, number int64) int { return cmp.Compare(one.Number, number) })
	if !found {
		return launch.Version{}, false
	}
	return h.Versions[at], true
}

// SnapshotOf returns the snapshot that a version's device is made from; empty for none, and for no such version.
func (h History) SnapshotOf(number int64, device string) string {
	version, _ := h.version(number)
	found := find(version.Devices, device)
	if found == nil || found.EBS == nil {
		return ""
	}
	return found.EBS.SnapshotID
}

// OwnerOf returns the UID of the binding that a version was made for; empty for one that Larder did not make, or whose
// description says otherwise than its devices.
func (h History) OwnerOf(number int64) types.UID {
	known, _ := h.recordOf(number)
	return known.binding
}

// IsOurs tells whether a version was made for the binding.
func (h History) IsOurs(binding types.UID, number int64) bool {
	return binding != "" && h.OwnerOf(number) == binding
}

// Origin returns the last version that a version came from and that was neither made for the binding nor left to it: itself
// when it was not. It is false when that version does not exist any more.
func (h History) Origin(binding types.UID, device string, number int64) (launch.Version, bool) {
	if known, found := h.recordOf(number); found && (known.binding == binding || h.isLeft(known, device)) {
		number = known.origin
	}
	return h.version(number)
}

// WasCalled returns what the consumer called the origin of a version that was made for the binding or left to it; empty for
// any other.
func (h History) WasCalled(binding types.UID, device string, number int64) string {
	if known, found := h.recordOf(number); found && (known.binding == binding || h.isLeft(known, device)) {
		return known.was
	}
	return ""
}

// recordOf returns the record of a version, unless its devices contradict it, or it is a copy: then somebody else wrote the
// description, or took it over.
func (h History) recordOf(number int64) (record, bool) {
	version, found := h.version(number)
	if !found {
		return record{}, false
	}
	known, found := recordIn(version)
	if !found || h.isCopy(version, known) {
		return record{}, false
	}
	return known, true
}

// isCopy tells a version that somebody made from one of Larder's, with its description, as Terraform does that ignores changes
// of it: another principal's has had that description before, or the version differs from its source in more than devices.
func (h History) isCopy(version launch.Version, known record) bool {
	for _, one := range h.Versions {
		if one.Number >= version.Number {
			break
		}
		if one.Description == version.Description && principal(one.CreatedBy) != principal(version.CreatedBy) {
			return true
		}
	}
	source, found := h.version(known.source)
	return found && !launchesAlike(version, source)
}

// principal returns an ARN without the name of a session, which an operator has another of after each restart.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
func principal(arn string) string {
	if role, session, found := strings.Cut(arn, ":assumed-role/"); found {
		name, _, _ := strings.Cut(session, "/")
		return role + ":assumed-role/" + name
	}
	return arn
}

// launchesAlike tells whether two versions launch the same but for their devices, as far as that is read of versions.
func launchesAlike(one, other launch.Version) bool {
	return one.ImageID == other.ImageID && one.InstanceType == other.InstanceType && one.UserData == other.UserData && one.Spot == other.Spot
}

func recordIn(version launch.Version) (record, bool) {
	known, found := parseRecord(version.Description)
	if !found || known.source >= version.Number || !known.agreesWith(version.Devices) {
		return record{}, false
	}
	return known, true
}

func (r record) agreesWith(devices []launch.Device) bool {
	found := find(devices, r.device)
	switch {
	case r.snapshotID != "":
		return found != nil && found.EBS != nil && found.EBS.SnapshotID == r.snapshotID
	case r.former == nil:
		return found == nil
	default:
		return found != nil && found.EBS != nil && found.EBS.SnapshotID == r.former.SnapshotID
	}
}

// find returns the first device of that name, nil when there is none.
func find(devices []launch.Device, name string) *launch.Device {
	for i := range devices {
		if devices[i].Name == name {
			return &devices[i]
		}
	}
	return nil
}
