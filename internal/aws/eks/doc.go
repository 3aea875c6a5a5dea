// Package eks reads EKS managed node groups and what became of their updates, and asks for updates to another version of
// a group's launch template. It never waits for EKS to finish one.
package eks
