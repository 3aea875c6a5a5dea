// Package node asks a real node's software what it makes of a volume: every containerd that nodes in the field run,
// built from its own module by hack/containerd-assets.sh, a kubelet by hack/kubelet-assets.sh, and the distribution's
// runc start on it, list its images and run containers from them.
//
// The tests carry the build tag "node", since they need root, loop devices and overlay mounts:
//
//	sudo -E env "PATH=$PATH" go test -tags node ./test/node
//
// What takes minutes and gigabytes of memory carries the tag "large" as well.
//
// They run in a mount and a process namespace of their own (see Isolate): no mount and no process
// outlives them, however they end. What is missing on a machine is a failure that names it, never a skip.
package node
