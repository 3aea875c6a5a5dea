// Package cold measures how a container starts from a volume whose blocks are fetched at their first touch.
//
// The benchmark carries the build tag "node", since it needs what test/node needs, and FUSE:
//
//	make bench-cold
package cold
