// Package preflight tells, before anything is written, what would keep the nodes of a target from booting with a snapshot
// or from finding the images on it. It is pure but for ReadImages: it judges what others read, and each kind of target
// tells it what of that counts.
//
// A problem is what would harm nodes or make the cache useless to all of them; each has a reason of its own. What may
// go wrong, and what cannot be known, is a warning. Messages never quote user data, nor what a parser says of it, which
// may hold secrets.
package preflight

import (
	"fmt"

	"github.com/larder-dev/larder/controllers/binding"
)

// inspection is a check that is under way.
type inspection struct {
	Input
	problem  *binding.Problem
	warnings []binding.Warning
}

// Check returns the most important of the problems, all of which a person has to solve, and all warnings.
func Check(in Input) (*binding.Problem, []binding.Warning) {
	i := &inspection{Input: in}
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
	i.checkGrants()
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
