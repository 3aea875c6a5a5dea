package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/aws/smithy-go"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// registry resolves every reference to a digest of its own text and of how often it was pushed.
type registry struct {
	// fault, if set, may fail a reference.
	fault func(reference string) error
	// missing are platforms that no image has.
	missing []string
	// tags are those of every repository.
	tags []string
	// alias maps references to others that they are spellings of, and renamed is the full name of those.
	alias   map[string]string
	renamed string
	// secret is what is wrong with the pull secrets, if anything.
	secret error

	mu     sync.Mutex
	pushes map[string]int
	// heads, lists and resolutions count what was asked.
	heads, lists, resolutions int
}

func (r *registry) Resolver(context.Context, []string) (Resolver, error) { return r, r.secret }

// push moves a tag.
func (r *registry) push(reference string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pushes == nil {
		r.pushes = map[string]int{}
	}
	r.pushes[reference]++
}

func (r *registry) content(reference string, count *int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	*count++
	if pushes := r.pushes[reference]; pushes > 0 {
		return fmt.Sprintf("%s, pushed %d times more", reference, pushes)
	}
	return reference
}

func (r *registry) Digest(_ context.Context, reference string) (digest.Digest, error) {
	content := r.content(cmp.Or(r.alias[reference], reference), &r.heads)
	if r.fault != nil {
		if err := r.fault(reference); err != nil {
			return "", err
		}
	}
	return digest.FromString(content), nil
}

func (r *registry) Tags(_ context.Context, repository string) ([]string, error) {
	r.content(repository, &r.lists)
	if r.fault != nil {
		if err := r.fault(repository); err != nil {
			return nil, err
		}
	}
	return r.tags, nil
}

func (r *registry) Resolve(_ context.Context, reference string, platforms []string) (*image.Image, error) {
	if r.fault != nil {
		if err := r.fault(reference); err != nil {
			return nil, err
		}
	}
	meant := cmp.Or(r.alias[reference], reference)
	content := r.content(meant, &r.resolutions)
	repository := "registry.example/" + meant
	if meant != reference {
		repository = cmp.Or(r.renamed, repository)
	}
	resolved := &image.Image{
		Reference:        reference,
		Repository:       repository,
		Tag:              "1",
		Target:           ocispec.Descriptor{Digest: digest.FromString(content)},
		MissingPlatforms: r.missing,
	}
	for _, platform := range platforms {
		if slices.Contains(r.missing, platform) {
			continue
		}
		resolved.Manifests = append(resolved.Manifests, image.Manifest{
			Platform:   platform,
			Descriptor: ocispec.Descriptor{Digest: digest.FromString(content + platform)},
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
	// contents are what each snapshot was built of.
	contents map[string][]image.Image
	// requests are all that were made.
	requests []BuildRequest
}

// Layout implements Contents.
func (b *pacedBuilder) Layout(_ context.Context, snapshotID string) (*volume.Layout, error) {
	if err := b.cloud.fault("Layout"); err != nil {
		return nil, &smithy.OperationError{ServiceID: "EBS", OperationName: "GetSnapshotBlock", Err: err}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	layout := &volume.Layout{Format: volume.Bottlerocket}
	for _, one := range b.contents[snapshotID] {
		layout.Images = append(layout.Images, volume.LayoutImage{
			Reference: one.Reference, Digest: one.Target.Digest, Platforms: []string{"linux/amd64"}, Size: 1 << 20,
		})
	}
	return layout, nil
}

// references are those of the images in a snapshot.
func (b *pacedBuilder) references(snapshotID string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var references []string
	for _, one := range b.contents[snapshotID] {
		references = append(references, one.Reference)
	}
	return references
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
	if err := b.fault(name); err != nil {
		return err
	}
	return ctx.Err() // it may have ended while the fault held the build
}

func (b *pacedBuilder) Build(ctx context.Context, request BuildRequest) (BuildResult, error) {
	if err := b.step(ctx, "plan"); err != nil {
		return BuildResult{}, err
	}
	id, err := b.cloud.start(request.Tags, request.Attempt)
	if err != nil {
		return BuildResult{}, err
	}
	b.note(id, request)
	if err := b.step(ctx, "answer"); err != nil {
		return BuildResult{}, fmt.Errorf("the answer was lost: %w", err)
	}
	request.Started(id, 8)
	err = b.write(ctx, request, id)
	if err != nil {
		b.cloud.remove(id)
		return BuildResult{}, err
	}
	return BuildResult{SnapshotID: id, VolumeSize: 8, StoredBytes: 3 << 20, FetchedBytes: 1 << 20, WrittenBytes: 2 << 20}, nil
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

func (b *pacedBuilder) note(id string, request BuildRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.contents[id] = request.Images
	b.requests = append(b.requests, request)
}
