package ssm_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ssm"
	"github.com/larder-dev/larder/test/fakeaws"
)

const name = "/larder/inference/snapshot-id"

var tags = map[string]string{"larder.dev/cluster-uid": "cluster", "team": "ml"}

// clientOf retries as often as it should, at once.
func clientOf(server *fakeaws.Server) *ssm.Client {
	cfg := server.Config()
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	return ssm.New(cfg)
}

func TestLifeOfAParameter(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	client := clientOf(server)
	if _, err := client.Get(t.Context(), name); !larderaws.IsNotFound(err) {
		t.Fatalf("reading it before it was made: %v", err)
	}
	if err := client.Update(t.Context(), name, "snap-1"); !larderaws.IsNotFound(err) {
		t.Fatalf("updating it before it was made: %v", err)
	}
	if err := client.Create(t.Context(), name, "snap-1", "made by Larder", tags); err != nil {
		t.Fatal(err)
	}
	check(t, client, ssm.Parameter{Value: "snap-1", Tags: tags})
	if err := client.Update(t.Context(), name, "snap-2"); err != nil {
		t.Fatal(err)
	}
	check(t, client, ssm.Parameter{Value: "snap-2", Tags: tags})
	for range 2 {
		if err := client.Delete(t.Context(), name); err != nil {
			t.Fatalf("deleting it, also when it is gone: %v", err)
		}
	}
	if _, exists := server.Parameter(name); exists {
		t.Error("it was not deleted")
	}
}

func check(t *testing.T, client *ssm.Client, want ssm.Parameter) {
	t.Helper()
	got, err := client.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parameter (-want +got):\n%s", diff)
	}
}

// TestValueAlone: who only reads what another account's pipeline published has no business with its tags.
func TestValueAlone(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{Denied: []string{"ListTagsForResource"}})
	server.AddParameter(fakeaws.Parameter{Name: name, Value: "snap-1", Tags: tags})
	if got, err := clientOf(server).Value(t.Context(), name); err != nil || got != "snap-1" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := clientOf(server).Value(t.Context(), name+"-2"); !larderaws.IsNotFound(err) {
		t.Errorf("error %v, want one for a parameter that does not exist", err)
	}
}

func TestCreateLeavesAnothersParameter(t *testing.T) {
	cases := map[string]struct {
		reason   string
		existing fakeaws.Parameter
	}{
		"another value": {"it serves someone", fakeaws.Parameter{Name: name, Value: "ami-1", Tags: tags}},
		"other tags":    {"it is another cluster's", fakeaws.Parameter{Name: name, Value: "snap-1", Tags: map[string]string{"larder.dev/cluster-uid": "other", "team": "ml"}}},
		"no tags":       {"someone made it by hand", fakeaws.Parameter{Name: name, Value: "snap-1"}},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			server := fakeaws.NewForTest(t, fakeaws.Options{})
			server.AddParameter(c.existing)
			if err := clientOf(server).Create(t.Context(), name, "snap-1", "", tags); !larderaws.IsAlreadyExists(err) {
				t.Errorf("error %v, want one for a name that is taken: %s", err, c.reason)
			}
			got, _ := server.Parameter(name)
			if got.Value != c.existing.Value || got.Version != 1 {
				t.Errorf("it was changed to %+v", got)
			}
		})
	}
}

func TestFaultsAreSurvived(t *testing.T) {
	for _, kind := range []fakeaws.Kind{fakeaws.Throttle, fakeaws.ServerError, fakeaws.LostResponse} {
		t.Run(string(kind), func(t *testing.T) {
			server := fakeaws.NewForTest(t, fakeaws.Options{})
			client := clientOf(server)
			once := func(action string) { server.Inject(fakeaws.Fault{Action: action, Kind: kind, Times: 1}) }
			once("PutParameter")
			if err := client.Create(t.Context(), name, "snap-1", "", tags); err != nil {
				t.Errorf("creating: %v", err)
			}
			once("PutParameter")
			if err := client.Update(t.Context(), name, "snap-2"); err != nil {
				t.Errorf("updating: %v", err)
			}
			once("GetParameter")
			once("ListTagsForResource")
			check(t, client, ssm.Parameter{Value: "snap-2", Tags: tags})
			once("DeleteParameter")
			if err := client.Delete(t.Context(), name); err != nil {
				t.Errorf("deleting: %v", err)
			}
		})
	}
}

func TestDenied(t *testing.T) {
	cases := map[string]func(*testing.T, *ssm.Client) error{
		"GetParameter":        func(t *testing.T, c *ssm.Client) error { _, err := c.Get(t.Context(), name); return err },
		"ListTagsForResource": func(t *testing.T, c *ssm.Client) error { _, err := c.Get(t.Context(), name); return err },
		"PutParameter":        func(t *testing.T, c *ssm.Client) error { return c.Update(t.Context(), name, "snap-2") },
		"DeleteParameter":     func(t *testing.T, c *ssm.Client) error { return c.Delete(t.Context(), name) },
	}
	for action, call := range cases {
		t.Run(action, func(t *testing.T) {
			server := fakeaws.NewForTest(t, fakeaws.Options{Denied: []string{action}})
			server.AddParameter(fakeaws.Parameter{Name: name, Value: "snap-1", Tags: tags})
			err := call(t, clientOf(server))
			if !larderaws.IsAccessDenied(err) || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want a refusal that names the parameter", err)
			}
			if got, _ := server.Parameter(name); got.Value != "snap-1" {
				t.Errorf("it was changed to %+v", got)
			}
		})
	}
}
