// Package preflight tells, before anything is written, what would keep the nodes of an EC2NodeClass from booting with a
// snapshot or from finding the images on it. It is pure: it judges objects that others read.
//
// A problem is what would harm nodes or make the cache useless to all of them; each has a reason of its own. What may
// go wrong, and what cannot be known, is a warning. Messages never quote user data, nor what a parser says of it, which
// may hold secrets.
package preflight

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// Input is what is known before a device is written.
type Input struct {
	// Class is the EC2NodeClass whose nodes boot with the device; where a class is derived from it, the base.
	Class *unstructured.Unstructured
	// Device is what the binding asks for.
	Device v1alpha1.Device
	// Wanted is the block device mapping that would be written; nil when none could be made.
	Wanted map[string]any
	// Snapshot is what the nodes are to boot with; its ID is empty when there is none yet.
	Snapshot binding.Snapshot
	// Pools are the NodePools of the class; nil when they are not known.
	Pools []*unstructured.Unstructured
	// Nodes counts the NodeClaims of the class.
	Nodes int
	// AMIs are what EC2 says of those in the class's status; nil when that is not known.
	AMIs []ami.Image
}

// inspection is a check that is under way.
type inspection struct {
	Input
	// class is the EC2NodeClass's name.
	class, family string
	// devices are those of the class, without what is no object.
	devices  []map[string]any
	problem  *binding.Problem
	warnings []binding.Warning
}

// Check returns the most important of the problems, all of which a person has to solve, and all warnings.
func Check(in Input) (*binding.Problem, []binding.Warning) {
	i := &inspection{Input: in, class: in.Class.GetName(), family: amifamily.Of(in.Class), devices: devicesOf(in.Class)}
	// From what would keep nodes from booting to what would only cost time.
	i.checkDuplicates()
	i.checkRoot()
	i.checkVolume()
	i.checkList()
	i.checkFamily()
	i.checkFormat()
	i.checkRootSize()
	i.checkArchitectures()
	i.checkBootstrap()
	i.checkContents()
	i.checkFastRestore()
	i.checkRate()
	i.checkSpotGrant()
	return i.problem, i.warnings
}

// block notes a problem. The first one is the most important.
func (i *inspection) block(reason, format string, args ...any) {
	if i.problem == nil {
		i.problem = &binding.Problem{Reason: reason, Stalled: true, Message: fmt.Sprintf(format, args...)}
	}
}

func (i *inspection) warn(reason, format string, args ...any) {
	i.warnings = append(i.warnings, binding.Warning{Reason: reason, Message: fmt.Sprintf(format, args...)})
}
