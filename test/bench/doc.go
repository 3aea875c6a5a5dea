// Package bench measures Larder as its users have it: the program as a process of its own, which reads images from
// a registry on loopback and sends a volume to the AWS double, each of them a process too, so that their CPU and
// memory are not Larder's. docs/benchmarks.md says how to run it and what it showed.
//
//	images (registry, from files) ──▶ larder build ──▶ fakeaws (blocks in files)
//	                              └─▶ containerd pull (test/bench/pull)
package bench
