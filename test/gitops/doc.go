// Package gitops tests what Larder offers to those who deploy from Git: the health checks for Argo CD, and what the
// documents promise about bindings.
package gitops
