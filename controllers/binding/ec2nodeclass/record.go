package ec2nodeclass

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

// record is what Larder notes on a class, in two annotations that are written together with the devices: so it is never
// older than they are, even if the operator dies before it can write its own status. It covers all bindings on the class.
type record struct {
	// former says how devices were before Larder wrote them, by name; nil for one that was not there.
	former map[string]mapping
	// applied is the snapshot that Larder wrote to each device.
	applied map[string]string
}

func readRecord(class *unstructured.Unstructured) (record, error) {
	r := record{former: map[string]mapping{}, applied: map[string]string{}}
	// Not encoding/json, which would make floats of the integers and so change every device that is restored.
	if err := readAnnotation(class, v1alpha1.AnnotationOriginalDevice, &r.former); err != nil {
		return r, err
	}
	return r, readAnnotation(class, v1alpha1.AnnotationAppliedSnapshots, &r.applied)
}

func readAnnotation(class *unstructured.Unstructured, name string, into any) error {
	text, found := class.GetAnnotations()[name]
	if !found {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("reading annotation %s: %w", name, err)
	}
	return nil
}

func unreadableRecord(class string, err error) *binding.Problem {
	return invalid("%v of EC2NodeClass %s: remove the annotation, and Larder takes the device as it is now for the "+
		"original", err, class)
}

// hasWritten tells whether the device's present mapping is Larder's: it names the snapshot that Larder wrote.
func (r record) hasWritten(name string, current mapping) bool {
	_, recorded := r.former[name]
	return recorded && snapshotOf(current) != "" && snapshotOf(current) == r.applied[name]
}

// taking returns a copy that records a device which Larder is about to take over, as somebody else left it. The
// snapshots are those that Larder applies.
func (r record) taking(family string, devices []any, name string, snapshots ...string) record {
	_, tookBefore := r.former[name]
	next := r.with(name, withoutSnapshot(find(devices, name), snapshots...))
	switch {
	case len(devices) == 0:
		next = next.with(amifamily.RootDevice(family), nil)
	case tookBefore: // somebody wrote a list of their own over Larder's
		next = next.without(amifamily.RootDevice(family))
	}
	return next
}

// with returns a copy that also records the device.
func (r record) with(name string, former mapping) record {
	next := record{former: maps.Clone(r.former), applied: r.applied}
	next.former[name] = former
	return next
}

// withApplied returns a copy that says which snapshot is being written.
func (r record) withApplied(name, snapshotID string) record {
	next := record{former: r.former, applied: maps.Clone(r.applied)}
	next.applied[name] = snapshotID
	return next
}

func (r record) without(name string) record {
	next := record{former: maps.Clone(r.former), applied: maps.Clone(r.applied)}
	delete(next.former, name)
	delete(next.applied, name)
	return next
}

func (r record) isEmpty() bool { return len(r.former) == 0 }

// annotations are the record as it stands on the class; nil values, which remove an annotation, when it is empty.
func (r record) annotations() (map[string]any, error) {
	if r.isEmpty() {
		return map[string]any{v1alpha1.AnnotationOriginalDevice: nil, v1alpha1.AnnotationAppliedSnapshots: nil}, nil
	}
	former, err := json.Marshal(r.former)
	if err != nil {
		return nil, fmt.Errorf("encoding the devices as they were: %w", err)
	}
	applied, err := json.Marshal(r.applied)
	if err != nil {
		return nil, fmt.Errorf("encoding the applied snapshots: %w", err)
	}
	return map[string]any{
		v1alpha1.AnnotationOriginalDevice:   string(former),
		v1alpha1.AnnotationAppliedSnapshots: string(applied),
	}, nil
}

// hadNoList tells whether the class had no list when Larder first wrote it. The mark is the root device, recorded as
// absent: no binding may have that device, so nothing else ever records it.
func (r record) hadNoList(family string) bool {
	_, marked := r.former[amifamily.RootDevice(family)]
	return marked
}

// isOnlyMark tells that no binding's device is recorded any more.
func (r record) isOnlyMark(family string) bool { return len(r.former) == 1 && r.hadNoList(family) }
