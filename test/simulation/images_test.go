package simulation

import (
	"archive/tar"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/larder-dev/larder/test/registry"
)

// content is what an image set consists of: names, and the layers of each by their number. A number stands for the
// same layer wherever it is used.
type content struct {
	images []imageSpec
	// layers is how many different layers there ever were.
	layers int
}

type imageSpec struct {
	name   string
	layers []int
}

func (c content) String() string {
	texts := make([]string, len(c.images))
	for i, img := range c.images {
		texts[i] = fmt.Sprint(img.name, img.layers)
	}
	return strings.Join(texts, " ")
}

// step changes the set in one random way, and says how.
func (c *content) step(random *rand.Rand) string {
	if len(c.images) == 0 {
		return c.add(random)
	}
	at := random.IntN(len(c.images))
	img := &c.images[at]
	switch random.IntN(7) {
	case 0, 1:
		return c.add(random)
	case 2:
		if len(c.images) == 1 {
			return c.add(random)
		}
		removed := img.name
		c.images = append(c.images[:at:at], c.images[at+1:]...)
		return "remove " + removed
	case 3:
		img.layers[len(img.layers)-1] = c.newLayer()
		return "change the top layer of " + img.name
	case 4:
		middle := random.IntN(len(img.layers))
		img.layers = append(img.layers[:middle:middle], append([]int{c.newLayer()}, img.layers[middle:]...)...)
		return fmt.Sprintf("insert a layer into %s at %d", img.name, middle)
	case 5:
		if len(img.layers) == 1 {
			return c.add(random)
		}
		middle := random.IntN(len(img.layers))
		img.layers = append(img.layers[:middle:middle], img.layers[middle+1:]...)
		return fmt.Sprintf("remove layer %d of %s", middle, img.name)
	default:
		random.Shuffle(len(c.images), func(i, j int) { c.images[i], c.images[j] = c.images[j], c.images[i] })
		return "reorder"
	}
}

// add makes an image of new layers, often upon some of another one.
func (c *content) add(random *rand.Rand) string {
	var layers []int
	if len(c.images) > 0 && random.IntN(3) > 0 {
		from := c.images[random.IntN(len(c.images))].layers
		layers = append(layers, from[:random.IntN(len(from)+1)]...)
	}
	for range 1 + random.IntN(4) {
		layers = append(layers, c.newLayer())
	}
	if random.IntN(8) == 0 {
		layers = append(layers, layers[len(layers)-1]) // the same layer twice
	}
	name := fmt.Sprintf("image-%d", c.layers)
	c.images = append(c.images, imageSpec{name: name, layers: layers})
	return "add " + name
}

func (c *content) newLayer() int {
	c.layers++
	return c.layers - 1
}

// artifact is an image as the registry takes it. What a layer holds depends on the seed and its number alone.
func (i imageSpec) artifact(seed uint64) registry.Image {
	var img registry.Image
	for _, number := range i.layers {
		img.Layers = append(img.Layers, layerOf(seed, number))
	}
	return img
}

// layerOf makes layers that lean on each other: they share directories, which some of them list and others only
// imply, replace each other's files, and take them away.
func layerOf(seed uint64, number int) registry.Layer {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	var entries []registry.Entry
	if random.IntN(2) == 0 {
		for d := range 4 {
			if random.IntN(2) == 0 {
				entries = append(entries, registry.Entry{
					Name: fmt.Sprintf("dir-%d/", d), Mode: int64(0o700 + random.IntN(0o100)), UID: random.IntN(3),
				})
			}
		}
	}
	for f := range 1 + random.IntN(12) {
		name := fmt.Sprintf("dir-%d/sub-%d/file-%d", random.IntN(4), random.IntN(3), f)
		switch random.IntN(9) {
		case 0:
			entries = append(entries, registry.Whiteout(name))
		case 1:
			entries = append(entries, registry.Opaque(fmt.Sprintf("dir-%d", random.IntN(4))))
		case 2:
			entries = append(entries, registry.Entry{Name: name, Type: tar.TypeSymlink, Link: strings.Repeat("../", random.IntN(3)) + "dir-1", Mode: 0o777})
		default:
			entries = append(entries, file(random, name, number))
		}
	}
	if random.IntN(3) == 0 {
		entries = append(entries,
			registry.Entry{Name: "linked", Content: fmt.Appendf(nil, "layer %d", number)},
			registry.Entry{Name: "dir-0/link", Type: tar.TypeLink, Link: "linked"})
	}
	return registry.Layer{Entries: entries, Compression: registry.Compression(random.IntN(4))}
}

// tracePaths lists some of the paths that layers have, one a line.
func tracePaths(random *rand.Rand) string {
	paths := []string{"/linked", "/dir-0/link"}
	for range 40 {
		paths = append(paths, fmt.Sprintf("/dir-%d/sub-%d/file-%d", random.IntN(4), random.IntN(3), random.IntN(12)))
	}
	return strings.Join(paths[random.IntN(2):], "\n")
}

func file(random *rand.Rand, name string, number int) registry.Entry {
	content := fmt.Appendf(nil, "layer %d\n", number)
	switch random.IntN(6) {
	case 0: // fills blocks of its own
		noise := make([]byte, random.IntN(1_500_000))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		content = append(content, noise...)
	case 1: // needs more than its compressed size makes expect
		content = append(content, make([]byte, random.IntN(3_000_000))...)
	}
	entry := registry.Entry{Name: name, Content: content, Mode: int64(0o600 + random.IntN(0o100)), GID: random.IntN(3)}
	if random.IntN(5) == 0 {
		entry.Xattrs = map[string]string{"user.layer": fmt.Sprint(number)}
	}
	return entry
}
