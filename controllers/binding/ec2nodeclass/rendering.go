package ec2nodeclass

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// rendering is what Larder notes on a derived class of its last write there, in an annotation that is written with it.
type rendering struct {
	// Spec is a hash of the whole spec: one that is not equal was changed by somebody else.
	Spec string `json:"spec"`
	// SnapshotID is the snapshot that the device names; empty when the device is the class's own.
	SnapshotID string `json:"snapshotID,omitempty"`
	// Device is the device as written, and Own as the class had it then; nil for none.
	Device mapping `json:"device,omitempty"`
	Own    mapping `json:"own,omitempty"`
}

// lastRendering reads the annotation. When it is gone or unreadable, what is there counts as written: nothing else is
// known, and a class that is Larder's anyway is no place to stop and ask.
func lastRendering(derived *unstructured.Unstructured, device string, own mapping) rendering {
	var written rendering
	text := derived.GetAnnotations()[v1alpha1.AnnotationRendered]
	// Not encoding/json, which would make floats of the integers.
	if err := json.Unmarshal([]byte(text), &written); err == nil {
		return written
	}
	current := find(devicesOf(derived), device)
	return rendering{Spec: hashOf(specOf(derived)), SnapshotID: snapshotOf(current), Device: current, Own: own}
}

func (r rendering) annotation() (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encoding what is noted of a derived class: %w", err)
	}
	return string(text), nil
}

// hashOf does not depend on the order of fields, which encoding sorts.
func hashOf(spec map[string]any) string {
	text, err := json.Marshal(spec)
	if err != nil {
		return "" // nothing that was read as JSON
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
