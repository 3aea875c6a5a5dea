//go:build race

package template

// seeds are fewer with the race detector, which finds nothing more in pure functions.
const seeds = 30
