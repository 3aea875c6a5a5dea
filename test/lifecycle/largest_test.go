package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/fakeaws"
)

// mostBytes is what the largest object may have: a sixth of what etcd takes in one write by default
// (https://etcd.io/docs/v3.6/dev-guide/limit/), since every watcher gets it with every change.
const mostBytes = 256 << 10

// TestLargestObject fills an object to its limits and has it applied by kubectl, which keeps all of it once more in an
// annotation, and its fields' names in the metadata.
func TestLargestObject(t *testing.T) {
	moving := &movingImages{}
	w := newWorld(t, options{resolver: moving, aws: fakeaws.Options{Regions: []string{"af-south-1", "ap-east-1", "ap-south-2", "ca-west-1"}}})
	empty := &emptyBuilder{snapshots: w.operator.snapshots}
	w.operator.builds.Builder = empty
	spec := largestSpec()
	w.apply("largest", spec)
	w.adopt("largest")
	for revision := range int64(10) {
		moving.version.Add(1)
		w.until("largest", "renewed", func(object *v1alpha1.ImageCacheSnapshot) bool { return object.Status.Revision == revision+1 })
	}
	empty.failure = errors.New(strings.Repeat("what went wrong with the volume, and how; ", 100))
	moving.version.Add(1)
	object := w.until("largest", "failing in every way", func(object *v1alpha1.ImageCacheSnapshot) bool {
		build := object.Status.Build
		return build != nil && build.Failures >= 3 && len(build.Errors) == 3
	})
	if len(object.Status.Images) != 100 || len(object.Status.Revisions) < 10 || len(object.Status.Copies) != len(spec.Copies) {
		t.Errorf("images, revisions, copies: %d, %d, %d", len(object.Status.Images), len(object.Status.Revisions), len(object.Status.Copies))
	}
	stored := &unstructured.Unstructured{}
	stored.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ImageCacheSnapshot"))
	if err := plane.Admin.Get(t.Context(), client.ObjectKey{Name: "largest"}, stored); err != nil {
		t.Fatal(err)
	}
	if bytes := len(encode(t, stored.Object)); bytes >= mostBytes {
		t.Errorf("the object has %d bytes, want less than %d: %v", bytes, mostBytes, portions(t, stored.Object))
	} else {
		t.Logf("the object has %d bytes: %v", bytes, portions(t, stored.Object))
	}
}

// longestNames is how many characters the API admits in all names and tag policies together.
const longestNames = 20_000

func largestSpec() v1alpha1.ImageCacheSnapshotSpec {
	spec := v1alpha1.ImageCacheSnapshotSpec{
		Platforms: []v1alpha1.Platform{"linux/amd64", "linux/arm64"}, VolumeSize: smallest,
		RevisionHistoryLimit: ptr.To[int32](10), Interval: metav1.Duration{Duration: time.Minute}, Tags: map[string]v1alpha1.TagValue{},
		FastSnapshotRestore: &v1alpha1.FastSnapshotRestore{},
		Publish:             &v1alpha1.Publish{SSMParameter: "/larder/" + strings.Repeat("p", 1011-len("/larder/")), ConfigMap: &v1alpha1.ConfigMapReference{Name: strings.Repeat("c", 253)}},
	}
	policy := &v1alpha1.TagPolicy{FilterTags: &v1alpha1.TagFilter{Pattern: ".*", Extract: "$0"}, Alphabetical: &v1alpha1.OrderPolicy{Order: "asc"}}
	for i := range 100 {
		name := fmt.Sprintf("%03d.lan/", i)
		name += strings.Repeat("r", longestNames/100-len(name)-len(".*$0"))
		spec.Images = append(spec.Images, v1alpha1.CachedImage{Image: name, TagPolicy: policy})
		spec.SharedWith = append(spec.SharedWith, v1alpha1.AccountID(fmt.Sprintf("%012d", i)))
	}
	for i := range 30 {
		spec.Tags[fmt.Sprintf("%02d", i)+strings.Repeat("k", 125)] = v1alpha1.TagValue(strings.Repeat("v", 255))
	}
	for i := range 10 {
		spec.FastSnapshotRestore.AvailabilityZones = append(spec.FastSnapshotRestore.AvailabilityZones, v1alpha1.AvailabilityZone(fmt.Sprintf("us-west-2-lax-%da", i)))
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, v1alpha1.PullSecretReference{Name: fmt.Sprintf("%d", i) + strings.Repeat("s", 252)})
	}
	for i, region := range []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
		"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1",
		"af-south-1", "ap-east-1", "ap-south-2", "ca-west-1",
	} {
		spec.Copies = append(spec.Copies, v1alpha1.RegionalCopy{Region: region, KMSKeyID: longKey(i)})
	}
	return spec
}

// longKey is the longest alias that KMS takes, in an ARN; there is no such key, so that every copy fails and says so.
func longKey(i int) string {
	alias := fmt.Sprintf("alias/none-%02d-", i)
	return "arn:aws:kms:ap-northeast-1:111122223333:" + alias + strings.Repeat("k", 256-len(alias))
}

// apply is kubectl's own.
func (w *world) apply(name string, spec v1alpha1.ImageCacheSnapshotSpec) {
	w.t.Helper()
	object := &v1alpha1.ImageCacheSnapshot{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ImageCacheSnapshot"},
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec,
	}
	kubeconfig := filepath.Join(w.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, plane.AdminKubeconfig(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	kubectl := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
	command := exec.CommandContext(w.t.Context(), kubectl, "--kubeconfig", kubeconfig, "apply", "-f", "-")
	command.Stdin = bytes.NewReader(encode(w.t, object))
	if output, err := command.CombinedOutput(); err != nil {
		w.t.Fatalf("applying: %v: %s", err, output)
	}
}

// portions are the bytes of each part of an object, the largest first.
func portions(t *testing.T, object map[string]any) []string {
	t.Helper()
	sizes := map[string]int{}
	for key, value := range object {
		parts, nested := value.(map[string]any)
		if !nested {
			continue
		}
		for part, content := range parts {
			sizes[key+"."+part] = len(encode(t, content))
		}
	}
	var names []string
	for name := range sizes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return sizes[b] - sizes[a] })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s: %d", name, sizes[name])
	}
	return names[:min(len(names), 12)]
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// movingImages are registries in which every tag points elsewhere with each version.
type movingImages struct{ version atomic.Int64 }

// Resolver implements snapshot.Registries.
func (m *movingImages) Resolver(context.Context, []string) (snapshot.Resolver, error) { return m, nil }

// Digest implements snapshot.Resolver.
func (m *movingImages) Digest(_ context.Context, reference string) (digest.Digest, error) {
	return digest.FromString(fmt.Sprint(reference, m.version.Load())), nil
}

// Tags implements snapshot.Resolver with the longest tag that a registry may have.
func (m *movingImages) Tags(context.Context, string) ([]string, error) {
	return []string{strings.Repeat("t", 128)}, nil
}

// Resolve implements snapshot.Resolver.
func (m *movingImages) Resolve(ctx context.Context, reference string, platforms []string) (*image.Image, error) {
	parsed, err := image.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	target, err := m.Digest(ctx, reference)
	if err != nil {
		return nil, err
	}
	found := &image.Image{Reference: reference, Repository: parsed.Repository, Tag: parsed.Tag, Target: ocispec.Descriptor{Digest: target}}
	for _, platform := range platforms {
		found.Manifests = append(found.Manifests, image.Manifest{
			Platform: platform, Descriptor: ocispec.Descriptor{Digest: target},
			Layers: []image.Layer{{Descriptor: ocispec.Descriptor{Size: 123_456_789_012}}},
		})
	}
	return found, nil
}

// emptyBuilder makes snapshots without blocks, or fails.
type emptyBuilder struct {
	snapshots *ebs.Client
	failure   error
}

// Build implements snapshot.Builder.
func (b *emptyBuilder) Build(ctx context.Context, request snapshot.BuildRequest) (snapshot.BuildResult, error) {
	upload, err := b.snapshots.Start(ctx, ebs.StartInput{
		VolumeSize: request.VolumeSize, Tags: request.Tags, Description: request.Description, Attempt: int(request.Attempt),
	})
	if err != nil {
		return snapshot.BuildResult{}, err
	}
	request.Started(upload.SnapshotID, request.VolumeSize)
	if b.failure != nil {
		return snapshot.BuildResult{}, errors.Join(b.failure, upload.Abort(ctx))
	}
	return snapshot.BuildResult{
		SnapshotID: upload.SnapshotID, VolumeSize: request.VolumeSize,
		StoredBytes: 1_999_999_999_999, FetchedBytes: 1_999_999_999_999, WrittenBytes: 1_999_999_999_999,
	}, upload.Complete(ctx)
}
