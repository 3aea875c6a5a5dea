//go:build !race

package targets

// eachMoment is every how many-th moment of a story the operator ends at in EveryCrash: at each.
const eachMoment = 1
