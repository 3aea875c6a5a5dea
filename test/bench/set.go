package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
)

// contentVersion changes when the same size no longer gives the same layers.
const contentVersion = "1"

const mib = 1 << 20

// recipe says what a layer is made of: a share of the set in percent, or else a size in bytes.
type recipe struct {
	name    string
	code    bool
	percent int64
	bytes   int64
}

// recipes are the layers of the set, then those of the changes to it.
var recipes = []recipe{
	{name: "base", percent: 18},
	{name: "runtime", code: true, percent: 14},
	{name: "dependencies-shop", code: true, percent: 14},
	{name: "dependencies-mail", code: true, percent: 10},
	{name: "tools", percent: 16},
	{name: "other-base", percent: 16},
	{name: "other", code: true, percent: 12},
	{name: "shop", code: true, bytes: 4 * mib},
	{name: "mail", code: true, bytes: 4 * mib},
	{name: "settings", bytes: 16 << 10},
	{name: "new-shop", code: true, bytes: 4 * mib},
	{name: "patches", bytes: 4 * mib},
	{name: "added", code: true, bytes: 8 * mib},
}

// Image is a name and the layers from the bottom up.
type Image struct {
	Name   string
	Layers []string
}

// Images are the set: four images, three of which share bases.
func Images() []Image {
	return []Image{
		{"shop:1", []string{"base", "runtime", "dependencies-shop", "settings", "shop"}},
		{"mail:1", []string{"base", "runtime", "dependencies-mail", "mail"}},
		{"tools:1", []string{"base", "tools"}},
		{"other:1", []string{"other-base", "other"}},
	}
}

// Change is the set after something happened to it.
type Change struct {
	Name   string
	Images []Image
	// New are the layers that the set did not have, Removed those that it no longer has.
	New, Removed []string
}

// Changes are what can happen to the set, each by itself.
func Changes() []Change {
	with := func(i int, changed Image) []Image {
		images := Images()
		images[i] = changed
		return images
	}
	return []Change{
		{
			Name:   "top layer changed",
			Images: with(0, Image{"shop:2", []string{"base", "runtime", "dependencies-shop", "settings", "new-shop"}}),
			New:    []string{"new-shop"}, Removed: []string{"shop"},
		},
		{
			Name:   "layer inserted",
			Images: with(1, Image{"mail:2", []string{"base", "runtime", "patches", "dependencies-mail", "mail"}}),
			New:    []string{"patches"},
		},
		{
			Name:    "image removed",
			Images:  append(Images()[:2:2], Images()[3]),
			Removed: []string{"tools"},
		},
		{
			Name:   "image added",
			Images: append(Images(), Image{"added:1", []string{"base", "runtime", "added"}}),
			New:    []string{"added"},
		},
	}
}

// CacheDir is where layers are kept between runs, made of this machine's files once.
func CacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(cache, "larder-bench"), nil
}

// EnsureLayers returns all layers, of megabytes MB in sum, and the directory that has them. It makes them when they
// are not there, which takes a minute for 1,000 MB.
func EnsureLayers(megabytes int64) (dir string, layers map[string]Layer, err error) {
	cache, err := CacheDir()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(cache, contentVersion+"-"+strconv.FormatInt(megabytes, 10))
	record, err := os.ReadFile(filepath.Join(dir, "layers.json"))
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "Making %d MB of layers of this machine's files, once: they are kept in %s.\n", megabytes, dir)
		if err := makeLayers(cache, dir, megabytes); err != nil {
			return "", nil, err
		}
		record, err = os.ReadFile(filepath.Join(dir, "layers.json"))
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading the list of layers: %w", err)
	}
	if err := json.Unmarshal(record, &layers); err != nil {
		return "", nil, fmt.Errorf("reading the list of layers in %s (remove it to have it made again): %w", dir, err)
	}
	return dir, layers, nil
}

// makeLayers leaves the directory complete or not at all.
func makeLayers(cache, dir string, megabytes int64) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("making the cache directory: %w", err)
	}
	temp, err := os.MkdirTemp(cache, "new-*")
	if err != nil {
		return fmt.Errorf("making the cache directory: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := errors.Join(os.Chmod(temp, 0o755), os.Mkdir(filepath.Join(temp, "sha256"), 0o755)); err != nil {
		return fmt.Errorf("making the cache directory: %w", err)
	}
	system, stopSystem := iter.Pull2(entries(systemTrees()))
	defer stopSystem()
	code, stopCode := iter.Pull2(entries(codeTrees()))
	defer stopCode()
	layers := map[string]Layer{}
	for _, r := range recipes {
		next, size := system, r.bytes
		if r.code {
			next = code
		}
		if r.percent > 0 {
			size = r.percent * megabytes * mib / 100
		}
		if layers[r.name], err = writeLayer(temp, r.name, size, next); err != nil {
			return err
		}
	}
	record, err := json.MarshalIndent(layers, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(temp, "layers.json"), record, 0o644); err != nil {
		return fmt.Errorf("writing the list of layers: %w", err)
	}
	return os.Rename(temp, dir)
}
