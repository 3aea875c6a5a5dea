package ctrstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
)

func TestPlanSnapshots(t *testing.T) {
	snapshot := func(id uint64, names ...string) Snapshot {
		s := Snapshot{ID: id, ChainID: chainID(names...), DiffID: digest.FromString(names[len(names)-1])}
		if len(names) > 1 {
			s.Parent = chainID(names[:len(names)-1]...)
		}
		return s
	}
	cases := map[string]struct {
		reason string
		images []image.Image
		want   []Snapshot
	}{
		"one image":                 {"from the bottom up", []image.Image{single("r/a", "1", build("", "x", "y"))}, []Snapshot{snapshot(1, "x"), snapshot(2, "x", "y")}},
		"two images that share":     {"a common chain is there once", []image.Image{single("r/a", "1", build("", "x", "y")), single("r/b", "1", build("", "x", "z"))}, []Snapshot{snapshot(1, "x"), snapshot(2, "x", "y"), snapshot(3, "x", "z")}},
		"the same layers reordered": {"a layer over others is another snapshot", []image.Image{single("r/a", "1", build("", "x", "y")), single("r/b", "1", build("", "y"))}, []Snapshot{snapshot(1, "x"), snapshot(2, "x", "y"), snapshot(3, "y")}},
		"one layer twice":           {"it is two chains, the second over the first", []image.Image{single("r/a", "1", build("", "x", "x"))}, []Snapshot{snapshot(1, "x"), snapshot(2, "x", "x")}},
		"no layers":                 {"there is nothing to unpack", []image.Image{single("r/a", "1", build(""))}, nil},
		"two platforms":             {"each has its own chains", []image.Image{indexed("r/a", "1", build("amd64", "x"), build("arm64", "y"))}, []Snapshot{snapshot(1, "x"), snapshot(2, "y")}},
		"one image twice":           {"it is the same", []image.Image{single("r/a", "1", build("", "x")), single("r/a", "2", build("", "x"))}, []Snapshot{snapshot(1, "x")}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if difference := cmp.Diff(c.want, mustPlan(t, c.images...).Snapshots); difference != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, difference)
			}
		})
	}
}

func TestPlanImages(t *testing.T) {
	amd64, arm64 := build("amd64", "x"), build("arm64", "y")
	index := indexed("docker.io/library/a", "1", amd64, arm64)
	byDigest := single("quay.io/b", "", amd64)
	contents := mustPlan(t, index, byDigest)

	got := map[string]digest.Digest{}
	for _, record := range contents.Images {
		got[record.Name] = record.Target.Digest
		if !record.Pinned() || record.Labels["io.cri-containerd.image"] != "managed" {
			t.Errorf("the record %s has labels %v, want it managed and pinned", record.Name, record.Labels)
		}
	}
	want := map[string]digest.Digest{
		"docker.io/library/a:1":                                  index.Target.Digest,
		"docker.io/library/a@" + index.Target.Digest.String():    index.Target.Digest,
		"quay.io/b@" + amd64.manifest.Descriptor.Digest.String(): amd64.manifest.Descriptor.Digest,
		arm64.manifest.Config.Digest.String():                    index.Target.Digest,
		// Both images have this config, and the later one was "pulled" last.
		amd64.manifest.Config.Digest.String(): amd64.manifest.Descriptor.Digest,
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("-want +got:\n%s", difference)
	}
}

func TestPlanRefusesOneTagWithTwoContents(t *testing.T) {
	_, err := Plan([]image.Image{single("r/a", "1", build("", "x")), single("r/a", "1", build("", "y"))})
	if err == nil || !strings.Contains(err.Error(), "r/a:1") {
		t.Errorf("got error %v, want one that names r/a:1", err)
	}
}

func TestPlanLabels(t *testing.T) {
	amd64, empty := build("amd64", "x", "y"), build("empty")
	nested := descriptor(ocispec.MediaTypeImageIndex, "nested")
	img := indexed("registry.example:5000/team/a", "1", amd64, empty)
	img.Blobs[0].Children = append(img.Blobs[0].Children, nested)
	contents := mustPlan(t, img, single("registry.example/other/b", "1", amd64))

	got := map[digest.Digest]map[string]string{}
	for _, blob := range contents.Blobs {
		got[blob.Descriptor.Digest] = blob.Labels
	}
	const source = "containerd.io/distribution.source.registry.example"
	want := map[digest.Digest]map[string]string{
		img.Target.Digest: {
			source:                             "team/a",
			"containerd.io/gc.ref.content.m.0": digest.FromString("another platform").String(),
			"containerd.io/gc.ref.content.m.1": amd64.manifest.Descriptor.Digest.String(),
			"containerd.io/gc.ref.content.m.2": empty.manifest.Descriptor.Digest.String(),
			"containerd.io/gc.ref.content.0":   nested.Digest.String(),
		},
		amd64.manifest.Descriptor.Digest: {
			source:                                "other/b,team/a",
			"containerd.io/gc.ref.content.config": amd64.manifest.Config.Digest.String(),
		},
		amd64.manifest.Config.Digest: {
			source: "other/b,team/a",
			"containerd.io/gc.ref.snapshot.overlayfs": chainID("x", "y").String(),
		},
		empty.manifest.Descriptor.Digest: {
			source:                                "team/a",
			"containerd.io/gc.ref.content.config": empty.manifest.Config.Digest.String(),
		},
		empty.manifest.Config.Digest: {source: "team/a"},
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("-want +got:\n%s", difference)
	}
}

// TestCollectorReachesEverything walks as containerd's garbage collector does, from the image records.
func TestCollectorReachesEverything(t *testing.T) {
	contents := mustPlan(t,
		indexed("docker.io/library/a", "1", build("amd64", "x", "y"), build("arm64", "z")),
		single("docker.io/library/b", "", build("", "x", "w", "w")),
		single("docker.io/library/c", "3", build("empty")),
	)
	reached := map[string]bool{}
	blobs := map[string]Blob{}
	for _, blob := range contents.Blobs {
		blobs[blob.Descriptor.Digest.String()] = blob
	}
	var visit func(dgst string)
	visit = func(dgst string) {
		reached[dgst] = true
		for key, value := range blobs[dgst].Labels {
			if strings.HasPrefix(key, "containerd.io/gc.ref.content") {
				visit(value)
			}
			if key == "containerd.io/gc.ref.snapshot.overlayfs" {
				reached[value] = true
			}
		}
	}
	for _, record := range contents.Images {
		visit(record.Target.Digest.String())
	}
	for _, blob := range contents.Blobs {
		if !reached[blob.Descriptor.Digest.String()] {
			t.Errorf("the collector would remove the blob %s", blob.Descriptor.Digest)
		}
	}
	for i := len(contents.Snapshots) - 1; i >= 0; i-- {
		snapshot := contents.Snapshots[i]
		if !reached[snapshot.ChainID.String()] {
			t.Errorf("the collector would remove the snapshot %d", snapshot.ID)
		}
		reached[snapshot.Parent.String()] = true
	}
}

func TestLabelsAreLikeContainerds(t *testing.T) {
	docker := "application/vnd.docker."
	got := childLabels([]ocispec.Descriptor{
		descriptor(docker+"container.image.v1+json", "c"),
		descriptor(docker+"image.rootfs.diff.tar.gzip", "l"),
		descriptor(docker+"image.rootfs.foreign.diff.tar.gzip", "f"),
		descriptor(ocispec.MediaTypeImageLayerZstd, "z"),
		descriptor(ocispec.MediaTypeImageConfig, "c2"),
		descriptor(docker+"distribution.manifest.v2+json", "m"),
		descriptor("application/vnd.in-toto+json", "t"),
	})
	want := map[string]string{
		"containerd.io/gc.ref.content.config":  digest.FromString("c").String(),
		"containerd.io/gc.ref.content.config1": digest.FromString("c2").String(),
		"containerd.io/gc.ref.content.m.0":     digest.FromString("m").String(),
		"containerd.io/gc.ref.content.0":       digest.FromString("t").String(),
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("-want +got:\n%s", difference)
	}
}

func TestSourceLabelStaysWithinContainerdsLimit(t *testing.T) {
	labels := map[string]string{}
	for i := range 200 {
		if err := addSource(labels, fmt.Sprintf("host/%s/%03d", strings.Repeat("n", 40), i)); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range labels {
		if len(key)+len(value) > 4096 {
			t.Errorf("the label %s has %d bytes: containerd would refuse to update the blob", key, len(key)+len(value))
		}
		if !strings.HasPrefix(value, strings.Repeat("n", 40)+"/000,") {
			t.Errorf("the label lost what fits: %.60s", value)
		}
	}
}
