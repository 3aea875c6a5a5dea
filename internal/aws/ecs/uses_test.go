package ecs_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ecs"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

func (a account) uses() []launch.Use {
	a.Helper()
	uses, err := a.SnapshotUses(a.Context())
	a.must(err)
	return uses
}

// scaleTo also says the volumes, which has ECS deploy them.
func (a account) scaleTo(tasks int32, volumes ...ecs.Volume) {
	a.Helper()
	_, err := a.sdk.UpdateService(a.Context(), &sdk.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DesiredCount: &tasks})
	a.must(err)
	a.update(volumes...)
}

func TestWhichSnapshotsAServiceUses(t *testing.T) {
	const absent = "snap-0123456789abcdef0"
	cases := map[string]struct {
		reason string
		do     func(a account, first, second string)
		want   func(first, second string) []string
		calls  int
	}{
		"empty volumes": {
			reason: "a volume without a snapshot needs none",
			do:     func(account, string, string) {},
			want:   func(string, string) []string { return nil },
		},
		"deployed": {
			reason: "each new task gets a volume of it, and nothing is to be gone back to",
			do:     func(a account, first, _ string) { a.update(from(first)); a.wait(taskStart) },
			want:   func(first, _ string) []string { return []string{first} },
		},
		"replaced": {
			reason: "ECS goes back only while it is at work",
			do: func(a account, first, second string) {
				a.update(from(first))
				a.wait(taskStart)
				a.update(from(second))
				a.wait(taskStart)
			},
			want: func(_, second string) []string { return []string{second} },
		},
		"at work": {
			reason: "tasks of both deployments may be started",
			do: func(a account, first, second string) {
				a.update(from(first))
				a.wait(taskStart)
				a.update(from(second))
			},
			want:  func(first, second string) []string { return []string{first, second} },
			calls: 2,
		},
		"going back to what has no tasks": {
			reason: "the last deployment that succeeded is none of the service's own any more",
			do: func(a account, first, _ string) {
				a.scaleTo(0, from(first))
				a.wait(taskStart)
				a.scaleTo(2, from(absent))
			},
			want:  func(first, _ string) []string { return []string{first, absent} },
			calls: 2,
		},
		"going back beyond the history": {
			reason: "what ran when the only known deployment began is all there is to go by",
			do: func(a account, first, _ string) {
				a.scaleTo(0, from(first))
				a.wait(100 * 24 * time.Hour)
				a.scaleTo(2, from(absent))
			},
			want:  func(first, _ string) []string { return []string{first, absent} },
			calls: 3,
		},
		"deleted": {
			reason: "it starts no tasks",
			do: func(a account, first, _ string) {
				a.update(from(first))
				_, err := a.sdk.DeleteService(a.Context(), &sdk.DeleteServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), Force: aws.Bool(true)})
				a.must(err)
			},
			want: func(string, string) []string { return nil },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			first, second := a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10}), a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
			c.do(a, first, second)
			before := a.history()
			var got []string
			for _, use := range a.uses() {
				if use.Name != "ECS service prod/web" {
					t.Errorf("a use by %s", use.Name)
				}
				got = append(got, use.SnapshotIDs...)
			}
			if diff := cmp.Diff(c.want(first, second), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if calls := a.history() - before; calls != c.calls {
				t.Errorf("%d calls for the history of deployments, want %d", calls, c.calls)
			}
		})
	}
}

// history counts the calls that are made only for a service whose deployments are not settled.
func (a account) history() int {
	return a.Calls("ListServiceDeployments") + a.Calls("DescribeServiceDeployments") + a.Calls("DescribeServiceRevisions")
}

func TestEveryServiceOfEveryClusterIsRead(t *testing.T) {
	a := newAccount(t)
	snapshot := a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
	a.update(from(snapshot))
	a.wait(taskStart)
	described, err := a.sdk.DescribeServices(t.Context(), &sdk.DescribeServicesInput{Cluster: aws.String("prod"), Services: []string{"web"}})
	a.must(err)
	want := map[string]bool{"ECS service prod/web": true}
	make := func(cluster, name string) {
		_, err := a.sdk.CreateService(t.Context(), &sdk.CreateServiceInput{
			Cluster: &cluster, ServiceName: &name, TaskDefinition: aws.String("web"),
			VolumeConfigurations: described.Services[0].Deployments[0].VolumeConfigurations,
		})
		a.must(err)
		want["ECS service "+cluster+"/"+name] = true
	}
	for i := range 104 {
		make("prod", fmt.Sprintf("web-%d", i))
	}
	for i := range 101 {
		cluster := fmt.Sprintf("other-%d", i)
		_, err := a.sdk.CreateCluster(t.Context(), &sdk.CreateClusterInput{ClusterName: &cluster})
		a.must(err)
		if i == 100 {
			make(cluster, "last")
		}
	}
	a.wait(taskStart)
	lists, describes := a.Calls("ListServices"), a.Calls("DescribeServices")
	got := map[string]bool{}
	for _, use := range a.uses() {
		got[use.Name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if lists, describes = a.Calls("ListServices")-lists, a.Calls("DescribeServices")-describes; lists != 103 || describes != 12 {
		t.Errorf("%d lists and %d descriptions, want 103 of 102 clusters and 12 of 106 services", lists, describes)
	}
}

func TestWithoutAnAnswerNoVolumeIsUnused(t *testing.T) {
	for _, action := range []string{"ecs:ListClusters", "ListServices", "DescribeServices", "ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions"} {
		t.Run(action, func(t *testing.T) {
			a := newAccount(t)
			snapshot := a.AddSnapshot(fakeaws.Snapshot{VolumeSize: 10})
			a.update(from(snapshot))
			if action == "DescribeServiceDeployments" {
				a.wait(100 * 24 * time.Hour)
				a.update(empty)
			}
			a.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Denied})
			uses, err := a.SnapshotUses(t.Context())
			if want := "ecs:" + strings.TrimPrefix(action, "ecs:"); !larderaws.IsAccessDenied(err) || uses != nil || larderaws.Action(err) != want {
				t.Errorf("%v, %v, want no answer and a refusal of %s", uses, err, want)
			}
		})
	}
}

func TestWhatVanishesMeanwhileUsesNothing(t *testing.T) {
	for action, code := range map[string]string{
		"ListServices": "ClusterNotFoundException", "DescribeServices": "ClusterNotFoundException", "ListServiceDeployments": "ServiceNotFoundException",
	} {
		a := newAccount(t)
		larger := empty
		larger.SizeGiB = 20
		a.update(larger)
		a.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Error, Status: http.StatusBadRequest, Code: code})
		if uses, err := a.SnapshotUses(t.Context()); err != nil || uses != nil {
			t.Errorf("%s says %s: %v, %v, want no use and no error", action, code, uses, err)
		}
	}
}

// described answers every DescribeServices with a failure of this reason.
type described struct{ reason string }

func (d described) Do(request *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(request.Header.Get("X-Amz-Target"), ".DescribeServices") {
		return http.DefaultClient.Do(request)
	}
	body := `{"services":[],"failures":[{"arn":"arn:aws:ecs:us-west-2:111122223333:service/web","reason":"` + d.reason + `"}]}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

func TestServicesThatAreNotDescribed(t *testing.T) {
	for reason, want := range map[string]bool{"MISSING": true, "UNKNOWN": false} {
		a := newAccount(t)
		cfg := a.Config()
		cfg.HTTPClient = described{reason}
		uses, err := ecs.New(cfg).SnapshotUses(t.Context())
		if uses != nil || (err == nil) != want {
			t.Errorf("%s: %v, %v, want an answer: %t", reason, uses, err, want)
		}
	}
}

// resolver is a network that has no name for anything: there is none, or it cannot be found out.
type resolver struct{ knows bool }

func (r resolver) Do(request *http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: request.URL.Hostname(), IsNotFound: r.knows, IsTemporary: !r.knows}}
}

func TestARegionWithoutECS(t *testing.T) {
	for _, knows := range []bool{true, false} {
		uses, err := ecs.New(aws.Config{
			Region: "mx-central-1", HTTPClient: resolver{knows}, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
			Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		}).SnapshotUses(t.Context())
		if uses != nil || (err == nil) != knows {
			t.Errorf("%v, %v: that there is no endpoint is known: %t", uses, err, knows)
		}
	}
}
