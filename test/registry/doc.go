// Package registry is a container registry on loopback for tests and the demo: go-containerregistry's own
// handler behind an access log, delays and faults, filled with images that are described as tables of tar
// headers. Everything it makes is the same bytes every time.
package registry
