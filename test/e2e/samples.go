package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// NodeClass is an EC2NodeClass as a team might have it before it knows Larder.
const NodeClass = `apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata:
  name: gpu
spec:
  amiSelectorTerms:
  - alias: bottlerocket@latest
  role: KarpenterNodeRole-demo
  subnetSelectorTerms:
  - tags: {karpenter.sh/discovery: demo}
  securityGroupSelectorTerms:
  - tags: {karpenter.sh/discovery: demo}
  blockDeviceMappings:
  - deviceName: /dev/xvda
    rootVolume: true
    ebs: {volumeSize: 6Gi, volumeType: gp3, encrypted: true}
  - deviceName: /dev/xvdb
    ebs: {volumeSize: 50Gi, volumeType: gp3, encrypted: true, deleteOnTermination: true}
  - deviceName: /dev/xvdc
    ebs: {volumeSize: 200Gi, volumeType: io2, iops: 4000}
`

// WriteSamples writes the objects of config/samples to one file, with the registry's images in place of the
// public ones.
func (s *Stack) WriteSamples(path string) error {
	samples := filepath.Join(s.root, "config", "samples")
	snapshot, err := os.ReadFile(filepath.Join(samples, "imagecachesnapshot.yaml"))
	if err != nil {
		return fmt.Errorf("reading the samples: %w", err)
	}
	binding, err := os.ReadFile(filepath.Join(samples, "nodeclassbinding.yaml"))
	if err != nil {
		return fmt.Errorf("reading the samples: %w", err)
	}
	var object v1alpha1.ImageCacheSnapshot
	if err := yaml.UnmarshalStrict(snapshot, &object); err != nil {
		return fmt.Errorf("reading the samples: %w", err)
	}
	object.Spec.Images = nil
	for _, reference := range s.Images {
		object.Spec.Images = append(object.Spec.Images, v1alpha1.CachedImage{Image: reference})
	}
	snapshot, err = yaml.Marshal(&object)
	if err != nil {
		return fmt.Errorf("writing the samples: %w", err)
	}
	return os.WriteFile(path, bytes.Join([][]byte{snapshot, binding}, []byte("---\n")), 0o600)
}
