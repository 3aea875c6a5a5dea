package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/image"
)

const (
	// contentVersion changes when the same images have to be built again because the volume's format changed.
	contentVersion = 1

	gibibyte = 1 << 30
)

// recipe is what of a spec decides the contents of a volume, beside what tags point at. The order of images and
// platforms does not count: it changes where things lie, but not what a node finds.
type recipe struct {
	Version    int
	Format     larderv1alpha1.Format
	Platforms  []string
	VolumeSize int64
	KMSKeyID   string `json:",omitempty"`
	Images     []string
}

func newRecipe(spec larderv1alpha1.ImageCacheSnapshotSpec) recipe {
	r := recipe{
		Version:    contentVersion,
		Format:     spec.Format,
		Platforms:  slices.Sorted(slices.Values(platformsOf(spec))),
		VolumeSize: volumeSizeOf(spec),
	}
	if spec.Encryption != nil {
		r.KMSKeyID = spec.Encryption.KMSKeyID
	}
	return r
}

// recipeHash tells whether a spec asks for something else than before, whatever its tags point at.
func recipeHash(spec larderv1alpha1.ImageCacheSnapshotSpec) string {
	r := newRecipe(spec)
	for _, cached := range spec.Images {
		r.Images = append(r.Images, hashOf(cached))
	}
	return r.hash()
}

// contentHash identifies what a volume is asked to hold.
func contentHash(spec larderv1alpha1.ImageCacheSnapshotSpec, images []image.Image) string {
	r := newRecipe(spec)
	for _, one := range images {
		var manifests []string
		for _, manifest := range one.Manifests {
			manifests = append(manifests, manifest.Platform+" "+manifest.Descriptor.Digest.String())
		}
		slices.Sort(manifests)
		name := []string{one.Repository, one.Tag, one.Target.Digest.String()}
		r.Images = append(r.Images, strings.Join(append(name, manifests...), " "))
	}
	return r.hash()
}

func (r recipe) hash() string {
	slices.Sort(r.Images)
	return hashOf(r)
}

// hashOf returns 64 hexadecimal digits.
func hashOf(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

func platformsOf(spec larderv1alpha1.ImageCacheSnapshotSpec) []string {
	platforms := make([]string, len(spec.Platforms))
	for i, platform := range spec.Platforms {
		platforms[i] = string(platform)
	}
	return platforms
}

// volumeSizeOf is in GiB; 0 has it computed. The API admits whole GiB only.
func volumeSizeOf(spec larderv1alpha1.ImageCacheSnapshotSpec) int64 {
	if spec.VolumeSize == nil {
		return 0
	}
	return spec.VolumeSize.Value() / gibibyte
}

func gibibytes(count int64) *resource.Quantity {
	return resource.NewQuantity(count*gibibyte, resource.BinarySI)
}
