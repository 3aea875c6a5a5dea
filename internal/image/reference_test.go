package image_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/image"
)

const someDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseReference(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   image.Reference
	}{
		"short name": {"Docker Hub's official images have their own namespace", "nginx",
			image.Reference{Repository: "docker.io/library/nginx", Tag: "latest"}},
		"user's name": {"other images of Docker Hub only lack the host", "grafana/loki:3",
			image.Reference{Repository: "docker.io/grafana/loki", Tag: "3"}},
		"Docker Hub's old host": {"both hosts are one registry", "index.docker.io/library/nginx:1",
			image.Reference{Repository: "docker.io/library/nginx", Tag: "1"}},
		"port": {"what looks like a port is no tag", "localhost:5000/app",
			image.Reference{Repository: "localhost:5000/app", Tag: "latest"}},
		"one letter": {"a repository of one letter is one to containerd", "registry.example/a:b",
			image.Reference{Repository: "registry.example/a", Tag: "b"}},
		"digest": {"a digest needs no tag", "quay.io/team/app@" + someDigest,
			image.Reference{Repository: "quay.io/team/app", Digest: someDigest}},
		"tag and digest": {"the digest decides, and containerd keeps no tag", "quay.io/team/app:1@" + someDigest,
			image.Reference{Repository: "quay.io/team/app", Digest: someDigest}},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			got, err := image.ParseReference(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s:\n%s", test.reason, diff)
			}
		})
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	cases := map[string]string{
		"nothing":           "",
		"upper case":        "quay.io/Team/App:1",
		"a blank":           "quay.io/team/my app",
		"an empty tag":      "nginx:",
		"a short digest":    "nginx@sha256:abc",
		"a bare digest":     strings.TrimPrefix(someDigest, "sha256:"),
		"an address":        "https://quay.io/team/app",
		"too long a name":   "quay.io/" + strings.Repeat("a", 300),
		"a parent's parent": "quay.io/../app",
	}
	for title, text := range cases {
		t.Run(title, func(t *testing.T) {
			got, err := image.ParseReference(text)
			if err == nil {
				t.Fatalf("%q became %v", text, got)
			}
			if reason := image.ReasonOf(err); reason != image.InvalidReference {
				t.Errorf("the reason is %q: %v", reason, err)
			}
			if !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "write [registry/]repository") {
				t.Errorf("this does not name the text and what to do: %v", err)
			}
		})
	}
}

func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{"nginx", "localhost:5000/a/b:c", "quay.io/a@" + someDigest, "[::1]:5000/x", "::", "A/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := image.ParseReference(text)
		if err != nil {
			return
		}
		if (parsed.Tag == "") == (parsed.Digest == "") {
			t.Errorf("%q has not exactly one of tag and digest: %+v", text, parsed)
		}
		if parsed.Registry() == "" || !strings.HasPrefix(parsed.Repository, parsed.Registry()+"/") {
			t.Errorf("%q has no registry: %+v", text, parsed)
		}
		again, err := image.ParseReference(parsed.String())
		if err != nil || again != parsed {
			t.Errorf("%q became %q, which became %+v (%v)", text, parsed, again, err)
		}
	})
}
