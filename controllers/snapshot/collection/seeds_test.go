//go:build !race

package collection

// simulatedSeeds is how many random histories are tried; each takes some 100 ms.
const simulatedSeeds = 100
