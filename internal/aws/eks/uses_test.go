package eks_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// crowded is an account with a template of versions made of snap-1, snap-2 and so on.
type crowded struct {
	*testing.T
	*fakeaws.Server
	templateID string
}

func newCrowded(t *testing.T, options fakeaws.Options) *crowded {
	t.Helper()
	c := &crowded{T: t, Server: fakeaws.NewForTest(t, options)}
	client := ec2.NewFromConfig(c.Config())
	dataOf := func(id string) *types.RequestLaunchTemplateData {
		return &types.RequestLaunchTemplateData{BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{
			{DeviceName: aws.String("/dev/xvdb"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{SnapshotId: &id}},
		}}
	}
	made, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("gpus"), LaunchTemplateData: dataOf("snap-1")})
	if err != nil {
		t.Fatal(err)
	}
	c.templateID = aws.ToString(made.LaunchTemplate.LaunchTemplateId)
	for number := 2; number <= 4; number++ {
		data := dataOf(fmt.Sprintf("snap-%d", number))
		if _, err := client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &c.templateID, LaunchTemplateData: data}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *crowded) group(cluster, name string, version int64) {
	c.AddNodeGroup(fakeaws.NodeGroup{Cluster: cluster, Name: name, TemplateID: c.templateID, TemplateVersion: version})
}

func (c *crowded) uses() ([]launch.Use, error) {
	return usesOf(c.Config()).SnapshotUses(c.Context())
}

func usesOf(cfg aws.Config) eks.Uses {
	return eks.Uses{Groups: eks.New(cfg), Templates: launch.New(cfg)}
}

func TestWhichSnapshotsNodeGroupsUse(t *testing.T) {
	c := newCrowded(t, fakeaws.Options{})
	c.AddNodeGroup(fakeaws.NodeGroup{Cluster: "dev", Name: "plain"})
	c.group("dev", "gpu", 2)
	c.group("prod", "gpu", 2)
	c.group("prod", "old", 3)
	want := []launch.Use{
		{Name: "launch template " + c.templateID + " (gpus) version 2, named by EKS node group dev/gpu, named by EKS node group prod/gpu", SnapshotIDs: []string{"snap-2"}},
		{Name: "launch template " + c.templateID + " (gpus) version 3, named by EKS node group prod/old", SnapshotIDs: []string{"snap-3"}},
	}
	got, err := c.uses()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, uses (-want +got):\n%s", err, diff)
	}
}

func TestEveryGroupOfEveryClusterIsRead(t *testing.T) {
	c := newCrowded(t, fakeaws.Options{})
	for i := range 101 {
		c.group("crowded", fmt.Sprintf("group-%d", i), 1+int64(i)%2)
		c.group(fmt.Sprintf("other-%d", i), "gpu", 3)
	}
	uses, err := c.uses()
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, use := range uses {
		named += strings.Count(use.Name, "named by EKS node group")
	}
	if named != 202 {
		t.Errorf("%d node groups found, want 202", named)
	}
	for action, want := range map[string]int{"eks:ListClusters": 2, "ListNodegroups": 103, "DescribeNodegroup": 202, "DescribeLaunchTemplateVersions": 1} {
		if got := c.Calls(action); got != want {
			t.Errorf("%s: %d calls, want %d", action, got, want)
		}
	}
}

func TestWithoutAnAnswerNoGroupIsUnused(t *testing.T) {
	for _, action := range []string{"eks:ListClusters", "ListNodegroups", "DescribeNodegroup", "DescribeLaunchTemplateVersions"} {
		t.Run(action, func(t *testing.T) {
			c := newCrowded(t, fakeaws.Options{Denied: []string{action}})
			c.group("prod", "gpu", 2)
			uses, err := c.uses()
			if !larderaws.IsAccessDenied(err) || uses != nil || !strings.HasSuffix(larderaws.Action(err), strings.TrimPrefix(action, "eks")) {
				t.Errorf("%v, %v, want no answer and a refusal of %s", uses, err, action)
			}
		})
	}
}

func TestWhatVanishesMeanwhileUsesNothing(t *testing.T) {
	for _, action := range []string{"ListNodegroups", "DescribeNodegroup"} {
		c := newCrowded(t, fakeaws.Options{})
		c.group("dev", "gpu", 2)
		c.group("prod", "gpu", 3)
		c.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Error, Times: 1, Status: http.StatusNotFound, Code: "ResourceNotFoundException"})
		uses, err := c.uses()
		var got []string
		for _, use := range uses {
			got = append(got, use.SnapshotIDs...)
		}
		if err != nil || !slices.Equal(got, []string{"snap-3"}) {
			t.Errorf("dev went before %s: %v, %v, want the snapshot of prod alone", action, got, err)
		}
	}
}

// resolver is a network that has no name for anything: there is none, or it cannot be found out.
type resolver struct{ knows bool }

func (r resolver) Do(request *http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: request.URL.Hostname(), IsNotFound: r.knows, IsTemporary: !r.knows}}
}

func TestARegionWithoutEKS(t *testing.T) {
	for _, knows := range []bool{true, false} {
		uses, err := usesOf(aws.Config{
			Region: "mx-central-1", HTTPClient: resolver{knows}, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
			Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		}).SnapshotUses(t.Context())
		if uses != nil || (err == nil) != knows {
			t.Errorf("%v, %v: that there is no endpoint is known: %t", uses, err, knows)
		}
	}
}
