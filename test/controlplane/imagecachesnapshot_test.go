package controlplane_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/controlplane"
)

// snapshotWith is unstructured, so that a test can leave out and misspell what the Go types cannot.
func snapshotWith(spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(larderv1alpha1.GroupVersion.WithKind("ImageCacheSnapshot"))
	object.SetGenerateName("api-")
	return object
}

func images(references ...string) []any {
	list := make([]any, len(references))
	for i, reference := range references {
		list[i] = map[string]any{"image": reference}
	}
	return list
}

func manyImages(count int) []any {
	references := make([]string, count)
	for i := range references {
		references[i] = fmt.Sprintf("registry.example/app:%d", i)
	}
	return images(references...)
}

func testImageCacheSnapshot(t *testing.T, plane *controlplane.ControlPlane) {
	t.Run("accepted", func(t *testing.T) { testSnapshotAccepted(t, plane.Admin) })
	t.Run("refused", func(t *testing.T) { testSnapshotRefused(t, plane.Admin) })
	t.Run("lifecycle accepted", func(t *testing.T) { testLifecycleAccepted(t, plane.Admin) })
	t.Run("lifecycle refused", func(t *testing.T) { testLifecycleRefused(t, plane.Admin) })
	t.Run("tag policies", func(t *testing.T) { testTagPolicies(t, plane.Admin) })
}

func testSnapshotAccepted(t *testing.T, admin client.Client) {
	cases := map[string]struct {
		reason string
		spec   map[string]any
	}{
		"smallest": {
			reason: "a list of images is all that a user has to say",
			spec:   map[string]any{"images": images("nginx")},
		},
		"most images": {
			reason: "a hundred images is the documented bound",
			spec:   map[string]any{"images": manyImages(100)},
		},
		"everything": {
			reason: "every field at its upper bound",
			spec: map[string]any{
				"images":     images("registry.example:5000/a/b@sha256:" + strings.Repeat("a", 64)),
				"platforms":  []any{"linux/amd64", "linux/arm64"},
				"format":     "Bottlerocket",
				"volumeSize": "2000Gi",
			},
		},
		"size in other units": {
			reason: "2048Mi is two GiB, however it is written",
			spec:   map[string]any{"images": images("nginx"), "volumeSize": "2048Mi"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := snapshotWith(tc.spec)
			if err := admin.Create(t.Context(), object); err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			read := &larderv1alpha1.ImageCacheSnapshot{}
			if err := admin.Get(t.Context(), client.ObjectKeyFromObject(object), read); err != nil {
				t.Fatal(err)
			}
			if _, given := tc.spec["platforms"]; given {
				return
			}
			if diff := cmp.Diff([]larderv1alpha1.Platform{"linux/amd64"}, read.Spec.Platforms); diff != "" {
				t.Errorf("default platforms (-want +got):\n%s", diff)
			}
			if read.Spec.Format != larderv1alpha1.FormatBottlerocket {
				t.Errorf("default format: got %q", read.Spec.Format)
			}
		})
	}
}

func testSnapshotRefused(t *testing.T, admin client.Client) {
	cases := map[string]struct {
		reason string
		spec   map[string]any
		says   string
	}{
		"no images": {
			reason: "an empty cache is a mistake, not a wish",
			spec:   map[string]any{"images": []any{}},
			says:   "spec.images in body should have at least 1 items",
		},
		"images left out": {
			reason: "images are required",
			spec:   map[string]any{},
			says:   "spec.images: Required value",
		},
		"too many images": {
			reason: "status lists every image and has to fit into an object",
			spec:   map[string]any{"images": manyImages(101)},
			says:   "must have at most 100 items",
		},
		"an image twice": {
			reason: "the list is a map by image",
			spec:   map[string]any{"images": images("nginx", "nginx")},
			says:   `Duplicate value: {"image":"nginx"}`,
		},
		"empty image": {
			reason: "an empty reference names nothing",
			spec:   map[string]any{"images": images("")},
			says:   "should be at least 1 chars long",
		},
		"white space": {
			reason: "a reference pasted with a blank would never be found",
			spec:   map[string]any{"images": images("nginx: latest")},
			says:   "image must not contain white space: write it as in a pod, for instance public.ecr.aws/nginx/nginx:1.29",
		},
		"scheme": {
			reason: "a pod names no scheme either",
			spec:   map[string]any{"images": images("https://registry.example/app")},
			says:   "image must not begin with a scheme: leave out https://",
		},
		"platform that nodes do not have": {
			reason: "the volume is for Linux nodes",
			spec:   map[string]any{"images": images("nginx"), "platforms": []any{"windows/amd64"}},
			says:   `Unsupported value: "windows/amd64": supported values: "linux/amd64", "linux/arm64"`,
		},
		"platform twice": {
			reason: "platforms are a set",
			spec:   map[string]any{"images": images("nginx"), "platforms": []any{"linux/amd64", "linux/amd64"}},
			says:   `spec.platforms[1]: Duplicate value: "linux/amd64"`,
		},
		"no platform": {
			reason: "a volume for no platform holds nothing",
			spec:   map[string]any{"images": images("nginx"), "platforms": []any{}},
			says:   "spec.platforms in body should have at least 1 items",
		},
		"unknown format": {
			reason: "nothing writes such a volume",
			spec:   map[string]any{"images": images("nginx"), "format": "Docker"},
			says:   `spec.format: Unsupported value: "Docker"`,
		},
		"files of two platforms": {
			reason: "a file has one content",
			spec:   map[string]any{"images": images("nginx"), "format": "Files", "platforms": []any{"linux/amd64", "linux/arm64"}},
			says:   "format Files takes one platform, since plain files are those of one: leave one in platforms",
		},
		"too small": {
			reason: "the journal and the tables take most of one GiB",
			spec:   map[string]any{"images": images("nginx"), "volumeSize": "1Gi"},
			says:   "volumeSize must be from 2Gi to 2000Gi: give another size, or leave it out to have it computed",
		},
		"too large": {
			reason: "the disk format's partition table ends there",
			spec:   map[string]any{"images": images("nginx"), "volumeSize": "2048Gi"},
			says:   "volumeSize must be from 2Gi to 2000Gi",
		},
		"fraction of a GiB": {
			reason: "EBS counts in whole GiB",
			spec:   map[string]any{"images": images("nginx"), "volumeSize": "20G"},
			says:   "volumeSize must be whole GiB, because EBS sizes are: write for instance 20Gi",
		},
		"not a size": {
			reason: "the pattern of a quantity comes before any rule",
			spec:   map[string]any{"images": images("nginx"), "volumeSize": "big"},
			says:   "spec.volumeSize",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := admin.Create(t.Context(), snapshotWith(tc.spec))
			if !apierrors.IsInvalid(err) {
				t.Fatalf("%s: got %v, want Invalid", tc.reason, err)
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: the error does not say %q:\n%v", tc.reason, tc.says, err)
			}
		})
	}
}
