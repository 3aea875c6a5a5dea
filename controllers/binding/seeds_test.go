//go:build !race

package binding_test

// simulatedSeeds is how many random histories are tried of each scenario.
const simulatedSeeds = 100
