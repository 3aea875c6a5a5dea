package main

import (
	"encoding/json"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// jsonReporter writes one object a line to standard output; the last one has the event "result".
type jsonReporter struct {
	out  *json.Encoder
	pace pace
}

// event is one line; fields that do not belong to it are left out.
type event struct {
	Event            string   `json:"event"`
	Image            string   `json:"image,omitempty"`
	Digest           string   `json:"digest,omitempty"`
	Platforms        []string `json:"platforms,omitempty"`
	MissingPlatforms []string `json:"missingPlatforms,omitempty"`
	result
	// VolumeSize is in GiB, the others in bytes.
	VolumeSize int64 `json:"volumeSize,omitempty"`
	Read       int64 `json:"read,omitempty"`
	Total      int64 `json:"total,omitempty"`
	Written    int64 `json:"written,omitempty"`
	// Layers counts the layers, and KeptLayers those that stayed where the parent has them; WithoutParent is why
	// the parent was not used.
	Layers        int    `json:"layers,omitempty"`
	KeptLayers    int    `json:"keptLayers,omitempty"`
	WithoutParent string `json:"withoutParent,omitempty"`
	Message       string `json:"message,omitempty"`

	Images []volume.LayoutImage `json:"images,omitempty"`
}

// write ignores a reader that went away: the build is what matters, and its status tells.
func (j *jsonReporter) write(line event) { _ = j.out.Encode(line) }

func (j *jsonReporter) resolved(found *image.Image) {
	line := event{
		Event:            "resolved",
		Image:            found.Reference,
		Digest:           found.Target.Digest.String(),
		MissingPlatforms: found.MissingPlatforms,
	}
	for _, manifest := range found.Manifests {
		line.Platforms = append(line.Platforms, manifest.Platform)
	}
	j.write(line)
}

func (j *jsonReporter) writing(to result, size int64) {
	j.pace.restart()
	j.write(event{Event: "writing", result: to, VolumeSize: size})
}

func (j *jsonReporter) progress(read, total int64) {
	j.pace.allow(read, total, func() { j.write(event{Event: "progress", Read: read, Total: total}) })
}

func (j *jsonReporter) completing() { j.write(event{Event: "completing"}) }

func (j *jsonReporter) warn(about error) { j.write(event{Event: "warning", Message: about.Error()}) }

// failed writes nothing: an output without a result is that of a failed build.
func (j *jsonReporter) failed() {}

func (j *jsonReporter) finished(made result, with *volume.Result) {
	line := event{
		Event:      "result",
		result:     made,
		VolumeSize: with.Layout.Size / (1 << 30),
		Read:       with.LayerBytes,
		Written:    with.Blocks * volume.BlockSize,
		Layers:     with.Layers,
		KeptLayers: with.Kept,
		Images:     with.Layout.Images,
	}
	if with.WithoutParent != nil {
		line.WithoutParent = with.WithoutParent.Error()
	}
	j.write(line)
}
