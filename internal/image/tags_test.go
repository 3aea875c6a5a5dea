package image_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

func TestTagsOfAllPages(t *testing.T) {
	for _, perPage := range []int{0, 1, 2, 5} {
		t.Run(fmt.Sprint(perPage), func(t *testing.T) {
			server := start(t, registry.Options{TagsPerPage: perPage, Username: "cook", Password: "thyme"})
			want := []string{"1", "2", "3", "latest", "v4"}
			for _, tag := range want {
				push(t, server, "team/app:"+tag, forPlatform("linux/amd64"))
			}
			client := image.NewClient(image.Options{Keychain: keychain{"cook", "thyme"}})
			for _, spelling := range []string{"/team/app", "/team/app:latest"} {
				got, err := client.Tags(t.Context(), server.Host()+spelling)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", spelling, diff)
				}
			}
		})
	}
}

// list answers with a body and a link, as they are.
func list(body, link string) registry.Effect {
	return func(response http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if link != "" {
			response.Header().Set("Link", link)
		}
		fmt.Fprint(response, body)
	}
}

// manyTags is a list of count tags, each as long as a tag may be.
func manyTags(count int) string {
	tags := make([]string, count)
	for i := range tags {
		tags[i] = fmt.Sprintf(`"%0128d"`, i)
	}
	return `{"tags": [` + strings.Join(tags, ",") + `]}`
}

func TestTagsOfOddRegistries(t *testing.T) {
	cases := map[string]struct {
		reason string
		effect registry.Effect
		want   []string
	}{
		"null":      {"a repository without tags", list(`{"name": "app", "tags": null}`, ""), nil},
		"missing":   {"another one", list(`{"name": "app"}`, ""), nil},
		"no tags":   {"what nobody could pull is left out", list(`{"tags": ["1", "", "a/b", "x@sha256:0", "-a", "b c"]}`, ""), []string{"1"}},
		"any order": {"the registry's order stays", list(`{"tags": ["b", "c", "a"]}`, ""), []string{"b", "c", "a"}},
		"as many":   {"all at once", list(manyTags(100_000), ""), nil},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			push(t, server, "app:pushed", forPlatform("linux/amd64"))
			server.Inject(registry.Fault{Path: "/tags/", Effect: test.effect})
			got, err := image.NewClient(image.Options{}).Tags(t.Context(), server.Host()+"/app")
			if err != nil {
				t.Fatal(err)
			}
			if title == "as many" {
				if len(got) != 100_000 {
					t.Errorf("%s: got %d tags", test.reason, len(got))
				}
				return
			}
			if len(got) != len(test.want) || len(got) > 0 && !cmp.Equal(got, test.want) {
				t.Errorf("%s: got %v, want %v", test.reason, got, test.want)
			}
		})
	}
}

func TestTagsThatCannotBeListed(t *testing.T) {
	cases := map[string]struct {
		reason string
		effect registry.Effect
		want   image.Reason
		says   string
	}{
		"unknown":      {"there is no such repository", registry.Refuse(http.StatusNotFound), image.NotFound, "HTTP status 404"},
		"forbidden":    {"ECR has a permission for lists alone", registry.Refuse(http.StatusForbidden), image.Forbidden, "ecr:ListImages"},
		"not JSON":     {"a proxy's page, say", list("<html>", ""), image.RegistryError, "not JSON"},
		"no texts":     {"tags are texts", list(`{"tags": [{"name": "1"}]}`, ""), image.RegistryError, "not a list of texts"},
		"no list":      {"a list is a list", list(`{"tags": {"1": {}}}`, ""), image.RegistryError, "not a list of texts"},
		"too many":     {"there is an end to what we hold", list(manyTags(100_001), ""), image.Unsupported, "more than 100000 tags"},
		"too long":     {"of a single answer, too", list(strings.Repeat(" ", 17<<20), ""), image.RegistryError, "more than 16777216 bytes"},
		"without end":  {"a list that returns to its beginning", list(`{"tags": []}`, `</v2/app/tags/list?last=1>; rel="next"`), image.RegistryError, "does not end after 1000 pages"},
		"elsewhere":    {"credentials stay with their host", list(`{"tags": []}`, `<http://169.254.169.254/latest/meta-data>; rel="next"`), image.RegistryError, "at another host"},
		"broken link":  {"a header is text from outside", list(`{"tags": []}`, `</v2/app/tags/list?last=1`), image.RegistryError, "an address that is none"},
		"broken off":   {"the connection ends", registry.BreakOff, image.Incomplete, "tags/list"},
		"rate limited": {"lists are limited, too", registry.Refuse(http.StatusTooManyRequests), image.TooManyRequests, "TOOMANYREQUESTS"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			push(t, server, "app:1", forPlatform("linux/amd64"))
			server.Inject(registry.Fault{Path: "/tags/", Effect: test.effect})
			var waited waits
			tags, err := waited.client().Tags(t.Context(), server.Host()+"/app")
			checkError(t, err, test.want, server.Host()+"/app", test.says)
			if tags != nil {
				t.Errorf("%s: got %v besides", test.reason, tags)
			}
		})
	}
}
