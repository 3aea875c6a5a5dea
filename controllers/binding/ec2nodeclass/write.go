package ec2nodeclass

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// verb is what a write does to its class.
type verb int

const (
	// applyDevices writes the list of devices of a class, and the record of them.
	applyDevices verb = iota
	// render writes the whole spec of a derived class, and creates it when it is not there.
	render
	// giveBack writes the devices of a class as they are to be without Larder, and what is left of the record.
	giveBack
	// release takes Larder's marks off a derived class.
	release
	// remove deletes a derived class.
	remove
)

// write is one change to one class.
type write struct {
	verb verb
	// class is as it was observed; a derived class that does not exist yet has a name and nothing else.
	class *unstructured.Unstructured
	// devices is the whole list to write; nil to leave the class without one.
	devices []any
	// record is what to note on the class; empty to leave nothing.
	record record
	// keepsDevices tells that devices are as they are observed. releases tells that Larder then owns no field any more.
	keepsDevices, releases bool
	// spec is the whole spec of a derived class, and mark tells whose it is.
	spec map[string]any
	mark mark
}

// mark tells on a derived class that it is Larder's.
type mark struct {
	// bindingUID is the binding's, and from the class that this one was made of.
	bindingUID, from string
	written          rendering
}

func (m mark) metadata() (labels, annotations map[string]any, err error) {
	written, err := m.written.annotation()
	if err != nil {
		return nil, nil, err
	}
	return map[string]any{v1alpha1.LabelBinding: m.bindingUID},
		map[string]any{v1alpha1.AnnotationDerivedFrom: m.from, v1alpha1.AnnotationRendered: written}, nil
}

// unmarked are the values that remove the marks.
func unmarked() (labels, annotations map[string]any) {
	return map[string]any{v1alpha1.LabelBinding: nil},
		map[string]any{v1alpha1.AnnotationDerivedFrom: nil, v1alpha1.AnnotationRendered: nil}
}
