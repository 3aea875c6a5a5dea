package ec2nodeclass

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/test/karpenter"
)

// rootGiB are the sizes of the AMIs' own disks.
var rootGiB = map[string]int64{amifamily.Bottlerocket: 2, amifamily.AL2023: 20}

// TestSamplesPassThePreflight takes every sample of whole pools through the preflight, as the API server and Karpenter
// would have them.
func TestSamplesPassThePreflight(t *testing.T) {
	// Which warnings there are all the same, and why.
	warnings := map[string][]string{
		// Another account's snapshot hides its tags: nobody knows its format and architectures.
		"from-another-cluster.yaml": {v1alpha1.ReasonNotChecked, v1alpha1.ReasonNotChecked},
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "config", "samples", "karpenter", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			plan := readSample(t, file).plan(t)
			if plan.Problem != nil || plan.Write == nil {
				t.Errorf("got problem %v and write %v, want a write", plan.Problem, plan.Write)
			}
			var got []string
			for _, warning := range plan.Warnings {
				got = append(got, warning.Reason)
			}
			if diff := cmp.Diff(warnings[filepath.Base(file)], got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s\n%v", diff, plan.Warnings)
			}
		})
	}
}

// sample is what a team has of one kind of node.
type sample struct {
	binding *v1alpha1.NodeClassBinding
	// snapshot is nil where another cluster has it.
	snapshot *v1alpha1.ImageCacheSnapshot
	class    *unstructured.Unstructured
	pools    []client.Object
}

func readSample(t *testing.T, file string) *sample {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return s
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch object.GetKind() {
		case "NodeClassBinding":
			s.binding = &v1alpha1.NodeClassBinding{}
			convert(t, object, s.binding)
		case "ImageCacheSnapshot":
			s.snapshot = &v1alpha1.ImageCacheSnapshot{}
			convert(t, object, s.snapshot)
		case classKind.Kind:
			s.class = object
		default:
			s.pools = append(s.pools, object)
		}
	}
}

func convert(t *testing.T, from *unstructured.Unstructured, to any) {
	t.Helper()
	const strict = true
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(from.Object, to, strict); err != nil {
		t.Fatal(err)
	}
}

// plan is for a Karpenter that has looked at the class and the NodePools, and that knows an initialization rate.
func (s *sample) plan(t *testing.T) binding.Plan {
	t.Helper()
	cluster := newCluster(t, nil, append(s.pools, s.class, definition("volumeInitializationRate"))...)
	player := &karpenter.Player{Client: cluster, Clock: clock.RealClock{}}
	if err := player.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(classKind)
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(s.class), class); err != nil {
		t.Fatal(err)
	}
	target := &Target{Client: cluster, Reader: cluster, Cache: cluster, Images: &region{images: amisOf(t, class)}}
	o, err := target.Observe(t.Context(), s.binding, binding.Heard)
	if err != nil {
		t.Fatal(err)
	}
	return o.Plan(s.binding, s.made(), time.Now())
}

func amisOf(t *testing.T, class *unstructured.Unstructured) []ami.Image {
	t.Helper()
	var images []ami.Image
	for _, id := range imagesOf(class) {
		images = append(images, ami.Image{ID: id, RootDevice: "/dev/xvda", RootGiB: rootGiB[familyOf(class)]})
	}
	if len(images) == 0 {
		t.Fatalf("EC2NodeClass %s has no AMIs", class.GetName())
	}
	return images
}

// made is the snapshot that the ImageCacheSnapshot gives, with the defaults that its API has. How much its images take is
// not known here; a device that they would not fit is not what the sample is about.
func (s *sample) made() binding.Snapshot {
	snapshot := binding.Snapshot{ID: "snap-1", SizeGiB: 16}
	if s.snapshot == nil {
		return snapshot
	}
	snapshot.StoredBytes = 10 << 30
	if snapshot.Format = s.snapshot.Spec.Format; snapshot.Format == "" {
		snapshot.Format = v1alpha1.FormatBottlerocket
	}
	for _, platform := range s.snapshot.Spec.Platforms {
		snapshot.Platforms = append(snapshot.Platforms, string(platform))
	}
	if snapshot.Platforms == nil {
		snapshot.Platforms = []string{"linux/amd64"}
	}
	return snapshot
}
