//go:build race

package targets

// eachMoment is every how many-th moment of a story the operator ends at in EveryCrash: with the race detector a story takes
// ten times as long, and its passes share nothing. It is odd, so that both sides of a request come up. make test tries all
// moments without it.
const eachMoment = 5
