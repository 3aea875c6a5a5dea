//go:build node

package cold_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/larder-dev/larder/test/registry"
)

const (
	// listPath is where the image has the list of what its program reads.
	listPath = "app/files"
	// filesPerPackage is what an installed module of an interpreted language has, roughly.
	filesPerPackage = 40
	// readPackages and readFiles are the parts of all packages, and of their files, that a start reads: one in so many.
	readPackages, readFiles = 8, 2
	// largeLayers is how many of the layers have the packages: one in so many. The others change single files, as
	// most instructions of a Dockerfile do.
	largeLayers = 6
)

// shape says what the image looks like.
type shape struct {
	layers, files int
	// bytes are those of all files.
	bytes int64
}

// application is an image and what its program reads at its start.
type application struct {
	image registry.Image
	// reads are the paths of those files.
	reads []string
}

// newApplication makes the same image for the same shape.
func newApplication(s shape, program []byte) application {
	random := rand.New(rand.NewPCG(1, 2))
	app := application{reads: []string{"/app/app", "/" + listPath}}
	large := max(1, s.layers/largeLayers)
	average := int(s.bytes) / s.files
	packages := s.files / filesPerPackage
	for layer := range s.layers - 1 {
		if layer%largeLayers != 0 || layer/largeLayers >= large {
			app.image.Layers = append(app.image.Layers, smallLayer(layer))
			continue
		}
		share := packages / large
		app.addPackages(random, layer, share, average)
	}
	list := strings.Join(app.reads, "\n") + "\n"
	app.image.Layers = append(app.image.Layers, registry.Layer{Entries: []registry.Entry{
		{Name: "app/app", Mode: 0o755, Content: program},
		{Name: listPath, Content: []byte(list)},
	}})
	app.image.Entrypoint = []string{"/app/app", "start", "/" + listPath}
	return app
}

func smallLayer(number int) registry.Layer {
	return registry.Layer{Entries: []registry.Entry{
		{Name: fmt.Sprintf("etc/config.d/%03d.conf", number), Content: []byte("value = 1\n")},
	}}
}

func (a *application) addPackages(random *rand.Rand, layer, packages, average int) {
	var entries []registry.Entry
	for p := range packages {
		directory := fmt.Sprintf("usr/lib/modules-%03d/package-%05d", layer, p)
		isRead := random.IntN(readPackages) == 0
		for f := range filesPerPackage {
			name := fmt.Sprintf("%s/part-%d/file-%03d", directory, f%4, f)
			entries = append(entries, registry.Entry{Name: name, Content: content(random, average)})
			if isRead && random.IntN(readFiles) == 0 {
				a.reads = append(a.reads, "/"+name)
			}
		}
	}
	a.image.Layers = append(a.image.Layers, registry.Layer{Entries: entries})
}

// content has a size around the average, exponentially distributed, and is half as long when compressed.
func content(random *rand.Rand, average int) []byte {
	bytes := make([]byte, int(random.ExpFloat64()*float64(average)))
	for i := range bytes[:len(bytes)/2] {
		bytes[i] = byte(random.Uint32())
	}
	return bytes
}
