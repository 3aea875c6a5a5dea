package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/test/registry"
)

// Names of the objects in NodeClass and FollowingTag.
const (
	SnapshotName = "inference"
	BindingName  = "gpu"
	ClassName    = "gpu"
	DataDevice   = "/dev/xvdb"
)

// releaseTag is a tag that a team moves with every release.
const releaseTag = "team/app:stable"

// FollowingTag is an ImageCacheSnapshot that follows the tag of an image as often as it may, and a NodeClassBinding that
// gives every revision to NodeClass.
func FollowingTag(image string) string {
	return fmt.Sprintf(`apiVersion: larder.dev/v1alpha1
kind: ImageCacheSnapshot
metadata:
  name: inference
spec:
  images:
  - image: %s
  interval: 1m
  revisionHistoryLimit: 2
---
apiVersion: larder.dev/v1alpha1
kind: NodeClassBinding
metadata:
  name: gpu
spec:
  snapshot: {ref: {name: inference}}
  target:
    ec2NodeClass:
      name: gpu
      device: {name: /dev/xvdb}
  rollout: {strategy: Roll}
`, image)
}

// PushRelease pushes a team's image under the tag that all its releases have, and returns the reference. Of 25 MB, the
// upper layer of 1 MB is a release's own.
func (s *Stack) PushRelease(ctx context.Context, number byte) (string, error) {
	return s.Registry.Push(ctx, releaseTag, registry.Image{
		Entrypoint: []string{"/opt/app/run"},
		Layers: []registry.Layer{
			{Entries: []registry.Entry{
				{Name: "opt/"}, {Name: "opt/lib/"},
				{Name: "opt/lib/framework.so", Content: incompressible(0, 24<<20)},
			}, Compression: registry.Zstd},
			{Entries: []registry.Entry{
				{Name: "opt/app/"},
				{Name: "opt/app/run", Mode: 0o755, Content: incompressible(number, 1<<20)},
			}, Compression: registry.Zstd},
		},
	})
}

// incompressible is the same for the same seed.
func incompressible(seed byte, bytes int) []byte {
	content := make([]byte, bytes)
	// ChaCha8's Read never fails.
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content)
	return content
}

// BootsFrom returns the snapshot that the data device of NodeClass names, or nothing.
func (s *Stack) BootsFrom(ctx context.Context) (string, error) {
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"})
	if err := s.Admin.Get(ctx, client.ObjectKey{Name: ClassName}, class); err != nil {
		return "", fmt.Errorf("reading EC2NodeClass %s: %w", ClassName, err)
	}
	devices, _, err := unstructured.NestedSlice(class.Object, "spec", "blockDeviceMappings")
	if err != nil {
		return "", fmt.Errorf("reading the devices of EC2NodeClass %s: %w", ClassName, err)
	}
	for _, device := range devices {
		fields, ok := device.(map[string]any)
		if !ok || fields["deviceName"] != DataDevice {
			continue
		}
		id, _, err := unstructured.NestedString(fields, "ebs", "snapshotID")
		if err != nil {
			return "", fmt.Errorf("reading %s of EC2NodeClass %s: %w", DataDevice, ClassName, err)
		}
		return id, nil
	}
	return "", nil
}
