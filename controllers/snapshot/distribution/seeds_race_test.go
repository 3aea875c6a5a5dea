//go:build race

package distribution

// simulatedSeeds is how many random histories are tried: with the race detector each takes a second, and a race that is
// there is in every one of them.
const simulatedSeeds = 25
