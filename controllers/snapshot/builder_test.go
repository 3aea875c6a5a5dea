package snapshot

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
)

// registry resolves every reference to a digest of its own text.
type registry struct {
	// fault, if set, may fail a reference.
	fault func(reference string) error
	// missing are platforms that no image has.
	missing []string
}

func (r *registry) Resolve(_ context.Context, reference string, platforms []string) (*image.Image, error) {
	if r.fault != nil {
		if err := r.fault(reference); err != nil {
			return nil, err
		}
	}
	resolved := &image.Image{
		Reference:        reference,
		Repository:       "registry.example/" + reference,
		Tag:              "1",
		Target:           ocispec.Descriptor{Digest: digest.FromString(reference)},
		MissingPlatforms: r.missing,
	}
	for _, platform := range platforms {
		if slices.Contains(r.missing, platform) {
			continue
		}
		resolved.Manifests = append(resolved.Manifests, image.Manifest{
			Platform:   platform,
			Descriptor: ocispec.Descriptor{Digest: digest.FromString(reference + platform)},
			Layers:     []image.Layer{{Descriptor: ocispec.Descriptor{Size: 1 << 20}}},
		})
	}
	return resolved, nil
}

func imageError(reference string, reason image.Reason) error {
	return &image.Error{Reference: reference, Registry: "registry.example", Reason: reason}
}

// pacedBuilder does to a cloud what the real one does to EBS, with a pause before each step in which it can be
// cancelled, or killed together with its process.
type pacedBuilder struct {
	cloud *cloud
	pace  time.Duration
	// fault may fail a step; spoil makes EBS fail the snapshot after it was accepted.
	fault  func(step string) error
	spoil  func() bool
	killed chan struct{}

	mu sync.Mutex
	// contents are the references that each snapshot was built of.
	contents map[string][]string
}

// step returns at the end of the pause. A killed process does not come back: it leaves what it has made.
func (b *pacedBuilder) step(ctx context.Context, name string) error {
	select {
	case <-b.killed:
		runtime.Goexit()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.pace):
	}
	return b.fault(name)
}

func (b *pacedBuilder) Build(ctx context.Context, request BuildRequest) (BuildResult, error) {
	if err := b.step(ctx, "plan"); err != nil {
		return BuildResult{}, err
	}
	id, err := b.cloud.start(request.Tags, request.Attempt)
	if err != nil {
		return BuildResult{}, err
	}
	b.note(id, request.Images)
	if err := b.step(ctx, "answer"); err != nil {
		return BuildResult{}, fmt.Errorf("the answer was lost: %w", err)
	}
	request.Started(id, 8)
	err = b.write(ctx, request, id)
	if err != nil {
		b.cloud.remove(id)
		return BuildResult{}, err
	}
	return BuildResult{SnapshotID: id, VolumeSize: 8}, nil
}

func (b *pacedBuilder) write(ctx context.Context, request BuildRequest, id string) error {
	for _, percent := range []int{10, 40, 80, 100} {
		if err := b.step(ctx, "write"); err != nil {
			return err
		}
		request.Progress(percent)
	}
	return b.cloud.seal(id, b.spoil())
}

func (b *pacedBuilder) note(id string, images []image.Image) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range images {
		b.contents[id] = append(b.contents[id], one.Reference)
	}
}
