package template

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Prunable returns the versions made for the binding that nothing needs: neither kept, nor the default or the latest one,
// nor what says of another's version what its device was before. Others' versions are never among them.
func (h History) Prunable(binding types.UID, keep ...int64) []int64 {
	ours := h.madeFor(binding)
	needed := map[int64]bool{}
	for _, number := range keep {
		needed[number] = true
	}
	for i, one := range h.Versions {
		if one.Default || i == len(h.Versions)-1 {
			needed[one.Number] = true
		}
		if slices.ContainsFunc(ours, func(own ofLarder) bool { return own.Number == one.Number }) {
			continue
		}
		for _, device := range one.Devices {
			if own, found := ancestor(ours, device.Name, one); found {
				needed[own.Number] = true
			}
		}
	}
	var prunable []int64
	for _, own := range ours {
		if !needed[own.Number] {
			prunable = append(prunable, own.Number)
		}
	}
	return prunable
}
