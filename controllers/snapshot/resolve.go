package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/image"
)

const (
	// resolveParallel is how many images are resolved at once: most of the time is waiting for registries, and
	// some of them limit the requests of one address.
	resolveParallel = 8
	// imageTimeout bounds what one image may take, so that a registry that does not answer does not take the others'
	// time. It holds the 4 attempts of an ordinary connection.
	imageTimeout = 15 * time.Second
	// resolveTimeout bounds a pass, since others wait for it to end.
	resolveTimeout = time.Minute
)

// resolution is what the references of one recipe point at.
type resolution struct {
	recipe string
	images []image.Image
	// statuses has one entry for each image, in the order of the spec.
	statuses []larderv1alpha1.ImageStatus
	// contentHash is 64 hexadecimal digits.
	contentHash string
	// missing says which images lack which of the wanted platforms; it may be empty.
	missing string
}

// forEachImage calls one for every image of the spec, several at a time, and returns all failures as one, so that a
// user learns of all mistakes at once.
func forEachImage(ctx context.Context, spec larderv1alpha1.ImageCacheSnapshotSpec, one func(ctx context.Context, i int) error) *failure {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	errs := make([]error, len(spec.Images))
	var group errgroup.Group
	group.SetLimit(resolveParallel)
	for i := range spec.Images {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, imageTimeout)
			defer cancel()
			if err := one(ctx, i); err != nil {
				errs[i] = fmt.Errorf("spec.images[%d]: %w", i, err)
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return imageFailures(errs)
}

// resolve asks the registries for all that a build has to know.
func resolve(ctx context.Context, resolver Resolver, object *larderv1alpha1.ImageCacheSnapshot) (*resolution, *failure) {
	wanted := platformsOf(object.Spec)
	found := make([]*image.Image, len(object.Spec.Images))
	failed := forEachImage(ctx, object.Spec, func(ctx context.Context, i int) error {
		reference, err := referenceOf(ctx, resolver, object.Spec.Images[i])
		if err != nil {
			return err
		}
		found[i], err = resolver.Resolve(ctx, reference, wanted)
		return err
	})
	if failed == nil {
		failed = twice(found)
	}
	if failed != nil {
		return nil, failed
	}
	return newResolution(object, found), nil
}

// hasMoved tells whether a reference points at something else than the current revision has.
func hasMoved(ctx context.Context, resolver Resolver, object *larderv1alpha1.ImageCacheSnapshot) (bool, *failure) {
	known := map[string]larderv1alpha1.ImageStatus{}
	for _, one := range object.Status.Images {
		known[one.Image] = one
	}
	var mu sync.Mutex
	moved := len(known) != len(object.Spec.Images)
	failed := forEachImage(ctx, object.Spec, func(ctx context.Context, i int) error {
		cached := object.Spec.Images[i]
		reference, err := referenceOf(ctx, resolver, cached)
		if err != nil {
			return err
		}
		digest, err := resolver.Digest(ctx, reference)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		is := known[cached.Image]
		moved = moved || is.Digest != digest.String() || chosenTag(cached, reference) != is.Tag
		return nil
	})
	return moved, failed
}

// referenceOf is the image's reference, with the tag that its policy chooses.
func referenceOf(ctx context.Context, resolver Resolver, cached larderv1alpha1.CachedImage) (string, error) {
	if cached.TagPolicy == nil {
		return cached.Image, nil
	}
	tags, err := resolver.Tags(ctx, cached.Image)
	if err != nil {
		return "", err
	}
	tag, err := tagPolicy(cached.TagPolicy).Select(tags)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", cached.Image, err)
	}
	return cached.Image + ":" + tag, nil
}

func tagPolicy(policy *larderv1alpha1.TagPolicy) image.TagPolicy {
	chosen := image.TagPolicy{}
	if filter := policy.FilterTags; filter != nil {
		chosen.Pattern, chosen.Extract = filter.Pattern, filter.Extract
	}
	switch {
	case policy.SemVer != nil:
		chosen.SemVer = policy.SemVer.Range
	case policy.Alphabetical != nil:
		chosen.Alphabetical = orderOf(policy.Alphabetical)
	case policy.Numerical != nil:
		chosen.Numerical = orderOf(policy.Numerical)
	}
	return chosen
}

func orderOf(policy *larderv1alpha1.OrderPolicy) image.Order {
	return cmp.Or(image.Order(policy.Order), image.Ascending)
}

// chosenTag is the tag that a policy has added, or empty.
func chosenTag(cached larderv1alpha1.CachedImage, reference string) string {
	if cached.TagPolicy == nil {
		return ""
	}
	return strings.TrimPrefix(reference, cached.Image+":")
}

// twice refuses two spellings of one name: the volume would hold it once, and the status would have it twice.
func twice(found []*image.Image) *failure {
	first := map[string]int{}
	for i, one := range found {
		name := one.Repository + ":" + one.Tag
		if one.Tag == "" {
			name = one.Repository + "@" + one.Target.Digest.String()
		}
		if j, known := first[name]; known {
			return failure{reason: larderv1alpha1.ReasonDuplicateImage, needsPerson: true}.with(fmt.Errorf(
				"spec.images[%d] %s and spec.images[%d] %s are both %s: remove one of them", j, found[j].Reference, i, one.Reference, name))
		}
		first[name] = i
	}
	return nil
}

func newResolution(object *larderv1alpha1.ImageCacheSnapshot, found []*image.Image) *resolution {
	resolved := &resolution{recipe: recipeHash(object.Spec)}
	var missing []string
	for i, one := range found {
		cached := object.Spec.Images[i]
		resolved.images = append(resolved.images, *one)
		resolved.statuses = append(resolved.statuses, imageStatus(cached, one))
		if len(one.MissingPlatforms) > 0 {
			missing = append(missing, fmt.Sprintf("%s has no %s", one.Reference, strings.Join(one.MissingPlatforms, ", ")))
		}
	}
	resolved.missing = clip(strings.Join(missing, "; "))
	resolved.contentHash = contentHash(object.Spec, resolved.images)
	return resolved
}

func imageStatus(cached larderv1alpha1.CachedImage, resolved *image.Image) larderv1alpha1.ImageStatus {
	status := larderv1alpha1.ImageStatus{
		Image:  cached.Image,
		Tag:    chosenTag(cached, resolved.Reference),
		Digest: resolved.Target.Digest.String(),
	}
	var size int64
	for _, manifest := range resolved.Manifests {
		status.Platforms = append(status.Platforms, manifest.Platform)
		for _, layer := range manifest.Layers {
			size += layer.Descriptor.Size
		}
	}
	slices.Sort(status.Platforms)
	status.Size = resource.NewQuantity(size, resource.BinarySI)
	return status
}
