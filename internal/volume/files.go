package volume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/tree"
)

// topDirectory is where the only image of a volume has its files.
const topDirectory = "."

// imageFiles is an image whose files go to a directory, a path in the filesystem.
type imageFiles struct {
	reference, directory string
	// layers are ordered from the bottom up.
	layers []source
}

// planFiles plans the images' files. They are written through one region: no volume is ever built upon this one, so
// nothing has to stay in place.
func (p *Plan) planFiles() error {
	if p.trace != nil {
		return &FormatError{Format: Files, Err: errors.New("a trace is of containers' layers, and plain files are laid in the order of the tars: leave it out")}
	}
	if err := checkOnePlatform(p.Images); err != nil {
		return &FormatError{Format: Files, Err: err}
	}
	directories, err := fileDirectories(p.Images)
	if err != nil {
		return &FormatError{Format: Files, Err: err}
	}
	p.meta = metaReserve
	for i, img := range p.Images {
		files := imageFiles{reference: img.Reference, directory: directories[i]}
		for _, l := range img.Manifests[0].Layers {
			files.layers = append(files.layers, source{repository: img.Repository, layer: l})
			p.meta += estimate(l.Descriptor.MediaType, l.Descriptor.Size)
			p.LayerBytes += l.Descriptor.Size
		}
		p.files = append(p.files, files)
	}
	p.meta = roundUp(p.meta, BlockSize)
	return nil
}

// checkOnePlatform lets an image have several manifests for its platform: the first one counts, as for containerd.
func checkOnePlatform(images []image.Image) error {
	platforms := map[string]bool{}
	for _, img := range images {
		for _, manifest := range img.Manifests {
			platforms[manifest.Platform] = true
		}
	}
	if len(platforms) > 1 {
		return fmt.Errorf("plain files are those of one platform, and these images are wanted for %s: ask for one of them",
			strings.Join(slices.Sorted(maps.Keys(platforms)), " and "))
	}
	return nil
}

// fileDirectories returns the directory of each image's files: the filesystem's root for a single image, else the
// repository with its registry's host, and below it the tag or the digest, with "_" for ":".
func fileDirectories(images []image.Image) ([]string, error) {
	if len(images) == 1 {
		return []string{topDirectory}, nil
	}
	directories := make([]string, len(images))
	owners := map[string]string{}
	for i, img := range images {
		version := img.Tag
		if version == "" {
			version = img.Target.Digest.String()
		}
		directories[i] = strings.ReplaceAll(path.Join(img.Repository, version), ":", "_")
		if other, taken := owners[directories[i]]; taken {
			return nil, fmt.Errorf("%s and %s are both /%s: leave one of them out", other, img.Reference, directories[i])
		}
		owners[directories[i]] = img.Reference
	}
	for i, img := range images {
		for above := path.Dir(directories[i]); above != topDirectory; above = path.Dir(above) {
			if other, taken := owners[above]; taken {
				return nil, fmt.Errorf("the directory of %s, /%s, is inside that of %s, /%s: put the two on volumes of their own",
					img.Reference, directories[i], other, above)
			}
		}
	}
	return directories, nil
}

// fillFiles writes the images' files, one layer after the other.
func (b *build) fillFiles(ctx context.Context, layout *Layout) (root, regions *tree.Node, err error) {
	root = tree.NewDirectory(0o755, epoch)
	for i, files := range b.plan.files {
		merged, err := b.readFiles(ctx, files)
		if err != nil {
			return nil, nil, err
		}
		img := &layout.Images[i]
		img.Directory = path.Join("/", files.directory)
		if img.Used, _, err = b.writer.UsageOf(merged); err != nil {
			return nil, nil, fmt.Errorf("image %s: %w", files.reference, err)
		}
		if files.directory != topDirectory {
			place(root, files.directory, merged)
			continue
		}
		if err := checkTop(merged); err != nil {
			return nil, nil, &FormatError{Format: Files, Err: fmt.Errorf("image %s: %w", files.reference, err)}
		}
		root = merged
	}
	return root, nil, nil
}

// readFiles returns an image's files as a container would see them.
func (b *build) readFiles(ctx context.Context, files imageFiles) (*tree.Node, error) {
	var lower []layer.Lower // nearest first
	var trees []*tree.Node
	for i, source := range files.layers {
		diff, err := b.readLayer(ctx, layerStore{region: b.meta}, source, i == 0)
		if err == nil {
			err = diff.Inherit(lower)
		}
		if err != nil {
			return nil, &LayerError{Repository: source.repository, Layer: source.layer.Descriptor.Digest, Err: err}
		}
		lower = slices.Insert(lower, 0, layer.Lower(diff))
		trees = append(trees, diff.Root())
	}
	return merge(trees), nil
}

// checkTop refuses an image whose own files are where the filesystem's root has something else.
func checkTop(root *tree.Node) error {
	const advice = "rename it in the image, or put the image on a volume with a second one, where each has a directory of its own"
	if root.Children[path.Dir(LayoutPath)] != nil {
		return fmt.Errorf("it has a /%s, where the volume has its layout record: %s", path.Dir(LayoutPath), advice)
	}
	if found := root.Children["lost+found"]; found != nil && !found.IsDirectory() {
		return errors.New("it has a /lost+found that is no directory, as every ext4 filesystem has: " + advice)
	}
	return nil
}

// listFiles believes the layout record: nothing else on the volume knows images.
func (*kind) listFiles(_ *ext4.Reader, layout *Layout) ([]ContentsImage, error) {
	images := make([]ContentsImage, 0, len(layout.Images))
	for _, img := range layout.Images {
		images = append(images, ContentsImage{
			Names: []string{img.Reference}, Digest: img.Digest, Platforms: img.Platforms, Size: img.Size,
			Directory: img.Directory,
		})
	}
	return images, nil
}
