// Package simulation takes volumes through random histories, each volume the parent of the next, and asks after every
// step whether it is what a build from nothing would have made.
package simulation
