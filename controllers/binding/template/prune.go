package template

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Prunable returns the versions made for the binding that nothing needs: neither kept, nor the default or the latest one,
// nor what says of another's version what its device was before. Others' versions are never among them.
func (h History) Prunable(binding types.UID, keep ...int64) []int64 {
	needed := map[int64]bool{}
	for _, number := range keep {
		needed[number] = true
	}
	for i, one := range h.Versions {
		if one.Default || i == len(h.Versions)-1 {
			needed[one.Number] = true
		}
		if h.IsOurs(binding, one.Number) {
			continue
		}
		for _, device := range one.Devices {
			if ours, found := h.ancestor(binding, device.Name, one); found {
				needed[ours.Number] = true
			}
		}
	}
	var prunable []int64
	for _, one := range h.Versions {
		if h.IsOurs(binding, one.Number) && !needed[one.Number] {
			prunable = append(prunable, one.Number)
		}
	}
	return slices.Clip(prunable)
}
