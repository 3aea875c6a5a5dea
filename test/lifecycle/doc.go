// Package lifecycle tests a snapshot's whole life over the real parts in one process: the reconciler, the distributor
// and the collector with the operator's own roles at a real API server, with the real clients at the double of AWS, and
// with a real registry. Only time is a test's own: it goes on when nothing is left to do.
package lifecycle
