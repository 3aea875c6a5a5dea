package controlplane_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// testLifecycleAccepted has every field of a snapshot's life at the bound of what it takes, and the defaults.
func testLifecycleAccepted(t *testing.T, admin client.Client) {
	cases := map[string]map[string]any{
		"pull secrets":       {"imagePullSecrets": []any{map[string]any{"name": "registry"}}},
		"shortest interval":  {"interval": "1m"},
		"odd interval":       {"interval": "1h30m"},
		"longest interval":   {"interval": "168h"},
		"suspended":          {"suspend": true},
		"pinned":             {"revision": int64(7)},
		"a key by its alias": {"encryption": map[string]any{"kmsKeyID": "alias/images"}, "sharedWith": []any{"444455556666"}},
		"copies": {"copies": []any{
			map[string]any{"region": "us-west-2", "kmsKeyID": "alias/images"}, map[string]any{"region": "us-gov-east-1"},
		}},
		"fast snapshot restore": {"fastSnapshotRestore": map[string]any{"availabilityZones": []any{"us-west-2a", "us-west-2-lax-1a"}}},
		"published":             {"publish": map[string]any{"ssmParameter": "/larder/llm", "configMap": map[string]any{"name": "llm"}}},
		"longest history":       {"revisionHistoryLimit": int64(10)},
		"retained":              {"deletionPolicy": "Retain"},
		"longest names":         {"images": images(longNames(100, 200)...)},
		"tags":                  {"tags": map[string]any{"team": "ml", "empty": ""}},
	}
	for name, spec := range cases {
		t.Run(name, func(t *testing.T) {
			if spec["images"] == nil {
				spec["images"] = images("nginx")
			}
			if err := admin.Create(t.Context(), snapshotWith(spec)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("defaults", func(t *testing.T) {
		object := snapshotWith(map[string]any{"images": images("nginx")})
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		read := &larderv1alpha1.ImageCacheSnapshot{}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(object), read); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(read.Spec.Interval.Duration, " ", *read.Spec.RevisionHistoryLimit, " ", read.Spec.DeletionPolicy, " ", read.Spec.Suspend)
		if diff := cmp.Diff("10m0s 3 Delete false", got); diff != "" {
			t.Errorf("interval, history, deletion policy, suspended (-want +got):\n%s", diff)
		}
	})
}

// longNames are so many different names of so many characters.
func longNames(count, length int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%0*d", length, i)
	}
	return names
}

// testTagPolicies has what a tag policy may and may not say.
func testTagPolicies(t *testing.T, admin client.Client) {
	cases := map[string]struct {
		image  string
		policy map[string]any
		// says is empty for a policy that is accepted.
		says string
	}{
		"semver":            {"registry.example:5000/app", map[string]any{"semver": map[string]any{"range": ">=1.2.0"}}, ""},
		"numerical":         {"app", map[string]any{"numerical": map[string]any{"order": "desc"}}, ""},
		"alphabetical":      {"app", map[string]any{"alphabetical": map[string]any{}}, ""},
		"filtered":          {"app", map[string]any{"numerical": map[string]any{}, "filterTags": map[string]any{"pattern": `^main-(\d+)$`, "extract": "$1"}}, ""},
		"none":              {"app", map[string]any{"filterTags": map[string]any{"pattern": "^v"}}, "a tagPolicy has exactly one of semver, alphabetical and numerical"},
		"two":               {"app", map[string]any{"semver": map[string]any{"range": "1.x"}, "numerical": map[string]any{}}, "exactly one of"},
		"a tag as well":     {"registry.example:5000/app:1", map[string]any{"numerical": map[string]any{}}, "an image with a tagPolicy is a repository"},
		"a digest as well":  {"app@sha256:" + strings.Repeat("a", 64), map[string]any{"numerical": map[string]any{}}, "an image with a tagPolicy is a repository"},
		"unknown order":     {"app", map[string]any{"numerical": map[string]any{"order": "newest"}}, `Unsupported value: "newest"`},
		"range left out":    {"app", map[string]any{"semver": map[string]any{}}, "range: Required value"},
		"pattern too long":  {"app", map[string]any{"numerical": map[string]any{}, "filterTags": map[string]any{"pattern": strings.Repeat("a", 257)}}, "may not be more than 256"},
		"pattern left out ": {"app", map[string]any{"numerical": map[string]any{}, "filterTags": map[string]any{}}, "pattern: Required value"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := admin.Create(t.Context(), snapshotWith(map[string]any{
				"images": []any{map[string]any{"image": tc.image, "tagPolicy": tc.policy}},
			}))
			if tc.says == "" && err != nil {
				t.Error(err)
			}
			if tc.says != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("the error does not say %q: %v", tc.says, err)
			}
		})
	}
}

func testLifecycleRefused(t *testing.T, admin client.Client) {
	cases := map[string]struct {
		spec map[string]any
		says string
	}{
		"interval too short":        {map[string]any{"interval": "30s"}, "interval must be from 1m to 168h"},
		"interval too long":         {map[string]any{"interval": "169h"}, "interval must be from 1m to 168h"},
		"interval without a unit":   {map[string]any{"interval": "10"}, "spec.interval"},
		"revision zero":             {map[string]any{"revision": int64(0)}, "spec.revision"},
		"account that is none":      {map[string]any{"sharedWith": []any{"12345"}}, "an AWS account id has 12 digits"},
		"account twice":             {map[string]any{"sharedWith": []any{"444455556666", "444455556666"}}, "Duplicate value"},
		"default key, shared":       {map[string]any{"encryption": map[string]any{"kmsKeyID": "alias/aws/ebs"}, "sharedWith": []any{"444455556666"}}, "AWS lets no other account use the default key"},
		"region that is none":       {map[string]any{"copies": []any{map[string]any{"region": "Oregon"}}}, "region must be the name of an AWS Region"},
		"region twice":              {map[string]any{"copies": []any{map[string]any{"region": "us-west-2"}, map[string]any{"region": "us-west-2"}}}, "Duplicate value"},
		"no zones":                  {map[string]any{"fastSnapshotRestore": map[string]any{"availabilityZones": []any{}}}, "should have at least 1 items"},
		"published nowhere":         {map[string]any{"publish": map[string]any{}}, "should have at least 1 properties"},
		"parameter without a slash": {map[string]any{"publish": map[string]any{"ssmParameter": "llm"}}, "ssmParameter must be a full name"},
		"parameter of AWS":          {map[string]any{"publish": map[string]any{"ssmParameter": "/aws/llm"}}, "ssmParameter must not begin with /aws or /ssm"},
		"no history":                {map[string]any{"revisionHistoryLimit": int64(0)}, "spec.revisionHistoryLimit"},
		"history too long":          {map[string]any{"revisionHistoryLimit": int64(11)}, "spec.revisionHistoryLimit"},
		"unknown deletion policy":   {map[string]any{"deletionPolicy": "Keep"}, `Unsupported value: "Keep"`},
		"tag of AWS":                {map[string]any{"tags": map[string]any{"aws:team": "ml"}}, "tags must not begin with aws: or larder.dev/"},
		"tag of Larder":             {map[string]any{"tags": map[string]any{"larder.dev/cluster-uid": "other"}}, "tags must not begin with aws: or larder.dev/"},
		"tag too long":              {map[string]any{"tags": map[string]any{strings.Repeat("k", 128): "v"}}, "a tag's key has 1 to 127 characters"},
		"tag's value too long":      {map[string]any{"tags": map[string]any{"k": strings.Repeat("v", 256)}}, "255"},
		"key too long":              {map[string]any{"encryption": map[string]any{"kmsKeyID": strings.Repeat("k", 321)}}, "320"},
		"names too long together":   {map[string]any{"images": images(longNames(100, 201)...)}, "divide them among several ImageCacheSnapshots"},
		"pull secret without name":  {map[string]any{"imagePullSecrets": []any{map[string]any{}}}, "name: Required value"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.spec["images"] == nil {
				tc.spec["images"] = images("nginx")
			}
			err := admin.Create(t.Context(), snapshotWith(tc.spec))
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error does not say %q: %v", tc.says, err)
			}
		})
	}
}
