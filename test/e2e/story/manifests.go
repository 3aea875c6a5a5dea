package story

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/larder-dev/larder/test/e2e"
)

const (
	ami = "bottlerocket@latest"

	// publisher and stranger are accounts that publish snapshots: the operator's flags allow the first one's.
	publisher = "444455556666"
	stranger  = "999988887777"
)

// nodePool has the name of its class.
func nodePool(class string) string {
	return fmt.Sprintf(`apiVersion: karpenter.sh/v1
kind: NodePool
metadata:
  name: %[1]s
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: %[1]s}
      requirements:
      - {key: kubernetes.io/arch, operator: In, values: [amd64]}
  disruption:
    consolidateAfter: 30s
    budgets:
    - nodes: "2"
`, class)
}

const inGPU = `    ec2NodeClass:
      name: gpu
      device: {name: /dev/xvdb}
`

// applyClass applies e2e.NodeClass by another name.
func (s *Story) applyClass(ctx context.Context, name string) error {
	path, err := s.write(name+".yaml", strings.Replace(e2e.NodeClass, "\n  name: gpu\n", "\n  name: "+name+"\n", 1))
	if err != nil {
		return err
	}
	return s.Show(ctx, "apply", "--filename", path)
}

// target is that of a binding to another class.
func target(name string) string { return strings.Replace(inGPU, "name: gpu", "name: "+name, 1) }

// binding is a NodeClassBinding of parts of its spec.
func binding(name, snapshot, target, rollout string) string {
	return fmt.Sprintf(`apiVersion: larder.dev/v1alpha1
kind: NodeClassBinding
metadata:
  name: %s
spec:
  snapshot: %s
  target:
%s  rollout:
%s`, name, snapshot, target, rollout)
}

const ref = "{ref: {name: inference}}"

// imageCacheSnapshot holds images of the registry.
func imageCacheSnapshot(images []string) string {
	manifest := "apiVersion: larder.dev/v1alpha1\nkind: ImageCacheSnapshot\nmetadata:\n  name: inference\nspec:\n  images:\n"
	for _, image := range images {
		manifest += "  - image: " + image + "\n"
	}
	return manifest
}

// apply prints a manifest and applies it as a person would.
func (s *Story) apply(ctx context.Context, file, manifest string) error {
	fmt.Fprint(s.Out, manifest)
	path, err := s.write(file, manifest)
	if err != nil {
		return err
	}
	return s.Show(ctx, "apply", "--filename", path)
}

func (s *Story) write(file, manifest string) (path string, err error) {
	path = filepath.Join(s.dir, file)
	if err := os.WriteFile(path, []byte(manifest), 0o600); err != nil {
		return "", fmt.Errorf("writing a manifest: %w", err)
	}
	return path, nil
}
