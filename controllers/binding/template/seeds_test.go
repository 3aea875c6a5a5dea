//go:build !race

package template

// seeds are those that random histories begin with.
const seeds = 300
