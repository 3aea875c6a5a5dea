//go:build race

package binding_test

// simulatedSeeds is how many random histories are tried of each scenario: with the race detector each takes a second, and
// the operator's passes share nothing. make test tries all of them without it.
const simulatedSeeds = 6
