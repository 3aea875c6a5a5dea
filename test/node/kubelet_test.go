//go:build node

package node_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// TestNodeKubelet has a kubelet start pods from a built volume, with the registry stopped: it finds the images present.
func TestNodeKubelet(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	file := newUser(t).build(t, pushed.all(), platform)
	stopForGood(t, server)
	asked := len(server.Requests())

	disk := node.AttachDisk(t, file)
	running := node.Start(t, node.Options{
		Containerd: node.NewestContainerd(t), Root: disk.ContainerdRoot(), SandboxImage: pushed.pause,
	})
	byDigest, err := running.CRI.Image(t.Context(), pushed.docker)
	if err != nil {
		t.Fatal(err)
	}
	kubelet := running.StartKubelet(t)
	for name, c := range map[string]struct {
		reason, image, policy, log string
	}{
		"by-tag":    {"the tag is a name of the image", pushed.odd, "IfNotPresent", "upper\n"},
		"by-digest": {"so is the digest", byDigest.GetRepoDigests()[0], "IfNotPresent", "hello\n"},
		"never":     {"a pod that must not pull runs", pushed.history, "Never", "a file again\nin a directory again\nin its place\nno link any more\n"},
	} {
		kubelet.AddPod(t, name, staticPod(name, c.image, c.policy))
		message := kubelet.WaitForEvent(t, name, "Pulled")
		if !strings.Contains(message, "already present on machine") {
			t.Errorf("%s: the kubelet says of image %s: %s", c.reason, c.image, message)
		}
		kubelet.WaitForEvent(t, name, "Started")
		got, err := running.CRI.WaitForContainer(t.Context(), name)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(node.Result{Log: c.log}, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.reason, diff)
		}
	}
	if requests := server.Requests(); len(requests) != asked {
		t.Errorf("the registry was asked after it had been stopped: %v", requests[asked:])
	}
}

func staticPod(name, image, pullPolicy string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: default}
spec:
  hostNetwork: true
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: %q, imagePullPolicy: %s}
`, name, image, pullPolicy)
}
