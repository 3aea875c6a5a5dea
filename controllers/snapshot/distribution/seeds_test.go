//go:build !race

package distribution

// simulatedSeeds is how many random histories are tried; each takes some 100 ms.
const simulatedSeeds = 100
