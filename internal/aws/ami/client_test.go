package ami_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/test/fakeaws"
)

const (
	intel, arm  = "ami-11111111111111111", "ami-22222222222222222"
	diskless    = "ami-33333333333333333"
	own, i386   = "ami-66666666666666666", "ami-77777777777777777"
	absent, old = "ami-44444444444444444", "ami-55555555555555555"
)

func newRegion(t *testing.T, options fakeaws.Options) (*fakeaws.Server, *ami.Client, *testingclock.FakePassiveClock) {
	server := fakeaws.NewForTest(t, options)
	for _, image := range []fakeaws.Image{
		{ID: intel, Architecture: "x86_64", RootDevice: "/dev/xvda", Volumes: map[string]int64{"/dev/xvda": 2, "/dev/xvdb": 20}},
		{ID: arm, Architecture: "arm64", RootDevice: "/dev/sda1", Volumes: map[string]int64{"/dev/sda1": 8}},
		{ID: diskless, Architecture: "x86_64", RootDevice: "/dev/xvda", Volumes: map[string]int64{"/dev/xvda": 0, "/dev/xvdb": 20}},
		{ID: old, Architecture: "x86_64", Deprecated: true, Name: "amazon-eks-node-1.29-v20240415", Description: "for Kubernetes"},
		{ID: own, Architecture: "arm64", Owner: "111122223333", Name: "golden"},
		{ID: i386, Architecture: "i386"},
	} {
		server.AddImage(image)
	}
	clock := testingclock.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	return server, ami.New(server.Config(), clock), clock
}

func TestDescribe(t *testing.T) {
	cases := map[string]struct {
		reason string
		ids    []string
		want   []ami.Image
	}{
		"two":                 {"sorted, and each once", []string{arm, intel, arm}, []ami.Image{{ID: intel, RootDevice: "/dev/xvda", RootGiB: 2, Architecture: "amd64", Amazon: true}, {ID: arm, RootDevice: "/dev/sda1", RootGiB: 8, Architecture: "arm64", Amazon: true}}},
		"an absent one":       {"the others are there", []string{absent, intel}, []ami.Image{{ID: intel, RootDevice: "/dev/xvda", RootGiB: 2, Architecture: "amd64", Amazon: true}}},
		"a deprecated one":    {"nodes launch from it", []string{old}, []ami.Image{{ID: old, Name: "amazon-eks-node-1.29-v20240415", Description: "for Kubernetes", Architecture: "amd64", Amazon: true}}},
		"a root not on EBS":   {"it has no size that could be too small", []string{diskless}, []ami.Image{{ID: diskless, RootDevice: "/dev/xvda", Architecture: "amd64", Amazon: true}}},
		"one of one's own":    {"it has no alias", []string{own}, []ami.Image{{ID: own, Name: "golden", Architecture: "arm64"}}},
		"an old architecture": {"no container image is for it", []string{i386}, []ami.Image{{ID: i386, Amazon: true}}},
		"nothing at all":      {"that takes no call", nil, nil},
		"nothing that exists": {"that is no error", []string{absent}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, client, _ := newRegion(t, fakeaws.Options{})
			got, err := client.Describe(t.Context(), c.ids)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestDescribeRemembersForAnHour(t *testing.T) {
	server, client, clock := newRegion(t, fakeaws.Options{})
	expectCalls := func(want int, reason string, ids ...string) {
		t.Helper()
		if _, err := client.Describe(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		if got := server.Calls("DescribeImages"); got != want {
			t.Errorf("%s: %d calls, want %d", reason, got, want)
		}
	}
	expectCalls(0, "nobody asked for anything")
	expectCalls(1, "nothing is known yet", intel)
	expectCalls(1, "it is known", intel)
	expectCalls(2, "another one is not", intel, arm)
	expectCalls(3, "an absent one may come", absent, intel)
	expectCalls(4, "and is asked for again", absent, intel)
	clock.SetTime(clock.Now().Add(time.Hour - time.Nanosecond))
	expectCalls(4, "the hour is not over", intel, arm)
	clock.SetTime(clock.Now().Add(time.Nanosecond))
	expectCalls(5, "the hour is over", intel, arm)
	expectCalls(5, "the next one has begun", intel, arm)
}

func TestDescribeOfMoreThanAFilterTakes(t *testing.T) {
	server, client, _ := newRegion(t, fakeaws.Options{})
	var ids []string
	for i := range 450 {
		ids = append(ids, fmt.Sprintf("ami-%017x", i))
		server.AddImage(fakeaws.Image{ID: ids[i]})
	}
	got, err := client.Describe(t.Context(), ids)
	if err != nil || len(got) != len(ids) || server.Calls("DescribeImages") != 3 {
		t.Errorf("%d images in %d calls, error %v; want %d in 3", len(got), server.Calls("DescribeImages"), err, len(ids))
	}
}

func TestDescribeMayNot(t *testing.T) {
	_, client, _ := newRegion(t, fakeaws.Options{Denied: []string{"DescribeImages"}})
	if _, err := client.Describe(t.Context(), []string{intel}); !larderaws.IsAccessDenied(err) {
		t.Errorf("error %v does not say that access is denied", err)
	}
}
