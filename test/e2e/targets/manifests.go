package targets

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws/estate"
	"github.com/larder-dev/larder/test/registry"
)

// The ImageCacheSnapshots.
const (
	inference = "inference"
	models    = "models"
	weights   = "weights"
)

// images are all ImageCacheSnapshots.
var images = []string{inference, models, weights}

// formats are what each is for: nodes of Bottlerocket boot with the first one, and the others are plain files.
var formats = map[string]v1alpha1.Format{
	inference: v1alpha1.FormatBottlerocket, models: v1alpha1.FormatFiles, weights: v1alpha1.FormatFiles,
}

// namespace is where pods claim volumes of the VolumeSnapshot that has the name of its ImageCacheSnapshot.
const namespace = "research"

// bound is a binding, which has the name of what it is for.
type bound struct {
	name, snapshot, target string
}

var onDevice = "device: {name: " + estate.Device + "}"

var bindings = []bound{
	{estate.NodeGroup, inference, "managedNodeGroup: {clusterName: " + estate.Cluster + ", nodeGroupName: " + estate.NodeGroup + ", " + onDevice + "}"},
	{estate.DefaultGroup, inference, "launchTemplate: {name: " + estate.DefaultGroup + ", setDefault: true, " +
		"autoScalingGroups: [{name: " + estate.DefaultGroup + "}], " + onDevice + "}"},
	{estate.NumberedGroup, inference, "launchTemplate: {name: " + estate.NumberedGroup + ", " +
		"autoScalingGroups: [{name: " + estate.NumberedGroup + ", instanceRefresh: {minHealthyPercentage: 50}}], " + onDevice + "}"},
	{estate.Environment, models, "batchComputeEnvironment: {name: " + estate.Environment + ", " + onDevice + "}"},
	{estate.Service, models, "ecsService: {cluster: " + estate.Cluster + ", service: " + estate.Service + ", volumeName: " + estate.Volume + "}"},
	{weights, weights, "volumeSnapshot: {namespace: " + namespace + ", name: " + weights + "}"},
}

// manifest lets AWS be looked at as often as it may be.
func (b bound) manifest() string {
	return fmt.Sprintf(`apiVersion: larder.dev/v1alpha1
kind: NodeClassBinding
metadata:
  name: %s
spec:
  snapshot: {ref: {name: %s}, interval: 1m}
  target:
    %s
  rollout: {strategy: Roll, rollback: {after: 1m}}
`, b.name, b.snapshot, b.target)
}

// release pushes an image, and returns what has ImageCacheSnapshots cache it.
func (s *Story) release(ctx context.Context, number int64, names ...string) (manifest string, err error) {
	image, err := s.Stack.Registry.Push(ctx, fmt.Sprintf("team/app:v%d", number), registry.Runnable(fmt.Appendf(nil, "release %d", number)))
	if err != nil {
		return "", err
	}
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("apiVersion: larder.dev/v1alpha1\nkind: ImageCacheSnapshot\nmetadata:\n  name: %s\nspec:\n"+
			"  format: %s\n  images:\n  - image: %s\n", name, formats[name], image))
	}
	return strings.Join(all, "---\n"), nil
}

// apply prints a manifest and applies it as a person would.
func (s *Story) apply(ctx context.Context, file, manifest string) error {
	fmt.Fprint(s.Out, manifest)
	path := filepath.Join(s.dir, file)
	if err := os.WriteFile(path, []byte(manifest), 0o600); err != nil {
		return fmt.Errorf("writing a manifest: %w", err)
	}
	return s.Show(ctx, "apply", "--filename", path)
}
