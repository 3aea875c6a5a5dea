// Package node asks a real node's software what it makes of a volume: containerd, built from its own module by
// hack/containerd-assets.sh, and the distribution's runc start on it, list its images and run containers from them.
//
// The tests carry the build tag "node", since they need root, loop devices and overlay mounts:
//
//	sudo -E env "PATH=$PATH" go test -tags node ./test/node
//
// They run in a mount and a process namespace of their own (see Isolate): no mount and no process
// outlives them, however they end. What is missing on a machine is a failure that names it, never a skip.
package node
