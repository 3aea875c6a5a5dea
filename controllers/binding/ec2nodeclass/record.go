package ec2nodeclass

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// record is the annotation that says how devices were before Larder wrote them, by name; nil for one that was not there.
// It covers the devices of all bindings on the class.
type record map[string]mapping

func readRecord(class *unstructured.Unstructured) (record, error) {
	text, found := class.GetAnnotations()[v1alpha1.AnnotationOriginalDevice]
	if !found {
		return record{}, nil
	}
	// Not encoding/json, which would make floats of the integers and so change every device that is restored.
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return nil, fmt.Errorf("reading annotation %s: %w", v1alpha1.AnnotationOriginalDevice, err)
	}
	r := record{}
	for name, device := range fields {
		former, isMapping := device.(mapping)
		if !isMapping && device != nil {
			return nil, fmt.Errorf("reading annotation %s: %s is neither a mapping nor null", v1alpha1.AnnotationOriginalDevice, name)
		}
		r[name] = former
	}
	return r, nil
}

func unreadableRecord(class string, err error) *binding.Problem {
	return invalid("%v of EC2NodeClass %s: remove the annotation, and Larder takes the device as it is now for the "+
		"original", err, class)
}

// with returns a copy that also records the device.
func (r record) with(name string, device mapping) record {
	next := maps.Clone(r)
	next[name] = device
	return next
}

// hadNoList tells whether the class had no list when Larder first wrote it. The mark is the root device, recorded as
// absent: no binding may have that device, so nothing else ever records it.
func (r record) hadNoList(family string) bool {
	_, marked := r[rootDevice(family)]
	return marked
}

// isOnlyMark tells that no binding's device is recorded any more.
func (r record) isOnlyMark(family string) bool { return len(r) == 1 && r.hadNoList(family) }

func (r record) without(name string) record {
	next := maps.Clone(r)
	delete(next, name)
	return next
}

// String is the annotation's value.
func (r record) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // JSON came in, so JSON goes out
	}
	return string(text)
}
