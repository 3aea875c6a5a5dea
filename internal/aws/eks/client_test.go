package eks_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	clocktesting "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/test/fakeaws"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is an account with the group web of cluster prod, on the first of two versions of its template.
type world struct {
	*testing.T
	*fakeaws.Server
	*eks.Client
	clock      *clocktesting.FakePassiveClock
	templateID string
}

func newWorld(t *testing.T, options fakeaws.Options) *world {
	t.Helper()
	w := &world{T: t, clock: clocktesting.NewFakePassiveClock(epoch)}
	options.Clock, options.NodeGroupUpdateFor = w.clock, time.Minute
	w.Server = fakeaws.NewForTest(t, options)
	w.Client = eks.New(w.Config())
	client := ec2.NewFromConfig(w.Config())
	data := &types.RequestLaunchTemplateData{UserData: aws.String("W10=")}
	made, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("workers"), LaunchTemplateData: data})
	if err != nil {
		t.Fatal(err)
	}
	w.templateID = aws.ToString(made.LaunchTemplate.LaunchTemplateId)
	if _, err := client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &w.templateID, LaunchTemplateData: data}); err != nil {
		t.Fatal(err)
	}
	w.AddNodeGroup(fakeaws.NodeGroup{
		Cluster: "prod", Name: "web", TemplateID: w.templateID, TemplateVersion: 1, DesiredSize: 2, MaxSize: 4, CapacityType: "SPOT",
		InstanceTypes: []string{"m7i.large"}, UpdateStrategy: "MINIMAL", Tags: map[string]string{"team": "a"},
	})
	return w
}

func (w *world) asked(version int64, token string) eks.VersionUpdate {
	return eks.VersionUpdate{
		Cluster: "prod", Group: "web", TemplateID: w.templateID, TemplateVersion: version,
		KubernetesVersion: "1.34", ReleaseVersion: "1.49.0-0a1b2c3d", Token: token,
	}
}

func (w *world) update(asked eks.VersionUpdate) eks.Update {
	w.Helper()
	begun, err := w.UpdateVersion(w.Context(), asked)
	if err != nil {
		w.Fatal(err)
	}
	return begun
}

func (w *world) updates() []eks.Update {
	w.Helper()
	all, err := w.Updates(w.Context(), "prod", "web")
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func TestDescribe(t *testing.T) {
	w := newWorld(t, fakeaws.Options{})
	w.SetNodeGroupHealth("prod", "web", "DEGRADED", fakeaws.NodeGroupIssue{Code: "NodeCreationFailure", Message: "Unhealthy", ResourceIDs: []string{"i-1"}})
	got, err := w.Describe(t.Context(), "prod", "web")
	if err != nil {
		t.Fatal(err)
	}
	want := eks.NodeGroup{
		Cluster: "prod", Name: "web", Status: eks.StatusDegraded, CreateTime: epoch, AMIType: "BOTTLEROCKET_x86_64",
		KubernetesVersion: "1.34", ReleaseVersion: "1.49.0-0a1b2c3d", CapacityType: "SPOT", InstanceTypes: []string{"m7i.large"},
		Template: &eks.Template{ID: w.templateID, Name: "workers", Version: "1"}, UpdateStrategy: "MINIMAL",
		AutoScalingGroups: []string{"eks-web-fakeaws"}, DesiredSize: 2, MaxSize: 4,
		Issues: []eks.Issue{{Code: "NodeCreationFailure", Message: "Unhealthy", ResourceIDs: []string{"i-1"}}}, Tags: map[string]string{"team": "a"},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.HasCustomAMI() {
		t.Errorf("group (-want +got):\n%s", diff)
	}
}

func TestAbsentGroup(t *testing.T) {
	w := newWorld(t, fakeaws.Options{})
	for _, name := range []struct{ cluster, group string }{{"prod", "none"}, {"none", "web"}} {
		if _, err := w.Describe(t.Context(), name.cluster, name.group); !larderaws.IsNotFound(err) {
			t.Errorf("%v: %v", name, err)
		}
		if _, err := w.Updates(t.Context(), name.cluster, name.group); !larderaws.IsNotFound(err) {
			t.Errorf("updates of %v: %v", name, err)
		}
	}
}

func TestUpdates(t *testing.T) {
	w := newWorld(t, fakeaws.Options{})
	begun := w.update(w.asked(2, "a"))
	want := []eks.Update{{
		Type: "VersionUpdate", Status: eks.UpdateInProgress, CreateTime: epoch, TemplateVersion: 2, KubernetesVersion: "1.34", ReleaseVersion: "1.49.0-0a1b2c3d",
	}}
	if diff := cmp.Diff(want, []eks.Update{begun}, cmpopts.IgnoreFields(eks.Update{}, "ID")); diff != "" {
		t.Errorf("begun (-want +got):\n%s", diff)
	}
	w.clock.SetTime(epoch.Add(time.Minute))
	w.FailNextUpdate("prod", "web", fakeaws.NodeGroupIssue{Code: "PodEvictionFailure", Message: "Reached max retries", ResourceIDs: []string{"ip-10-0-0-1"}})
	w.update(w.asked(1, "b"))
	w.clock.SetTime(epoch.Add(2 * time.Minute))
	want[0].Status = eks.UpdateSuccessful
	want = append(want, eks.Update{
		Type: "VersionUpdate", Status: eks.UpdateFailed, CreateTime: epoch.Add(time.Minute), TemplateVersion: 1,
		KubernetesVersion: "1.34", ReleaseVersion: "1.49.0-0a1b2c3d",
		Errors: []eks.Issue{{Code: "PodEvictionFailure", Message: "Reached max retries", ResourceIDs: []string{"ip-10-0-0-1"}}},
	})
	for range 2 {
		if diff := cmp.Diff(want, w.updates(), cmpopts.IgnoreFields(eks.Update{}, "ID")); diff != "" {
			t.Errorf("updates (-want +got):\n%s", diff)
		}
	}
	if got := w.Calls("DescribeUpdate"); got != 2 {
		t.Errorf("%d calls for two updates that are over", got)
	}
}

// TestManyUpdates has more than a page of them, which EKS lists in no order.
func TestManyUpdates(t *testing.T) {
	w := newWorld(t, fakeaws.Options{})
	const many = 101
	for n := range many {
		w.clock.SetTime(epoch.Add(time.Duration(n) * time.Hour))
		w.update(w.asked(2, time.Duration(n).String()))
	}
	all := w.updates()
	if len(all) != many || w.Calls("ListUpdates") != 2 {
		t.Fatalf("%d updates in %d pages", len(all), w.Calls("ListUpdates"))
	}
	for n, update := range all {
		if !update.CreateTime.Equal(epoch.Add(time.Duration(n) * time.Hour)) {
			t.Fatalf("update %d was made at %s", n, update.CreateTime)
		}
	}
}

func TestUpdateVersionIsAskedForOnce(t *testing.T) {
	w := newWorld(t, fakeaws.Options{})
	w.Inject(fakeaws.Fault{Action: "UpdateNodegroupVersion", Kind: fakeaws.LostResponse, Times: 1})
	w.update(w.asked(2, "a"))
	if got := w.NodeGroupUpdates("prod", "web"); len(got) != 1 {
		t.Errorf("%d updates for one token", len(got))
	}
	if _, err := w.UpdateVersion(t.Context(), w.asked(1, "b")); !eks.IsBusy(err) || eks.IsLaunchDenied(err) {
		t.Errorf("a second update while one runs: %v", err)
	}
}

func TestUpdateVersionDenied(t *testing.T) {
	w := newWorld(t, fakeaws.Options{Denied: []string{"RunInstances"}})
	if _, err := w.UpdateVersion(t.Context(), w.asked(2, "a")); !eks.IsLaunchDenied(err) || eks.IsBusy(err) {
		t.Errorf("EKS may not launch for us: %v", err)
	}
	w = newWorld(t, fakeaws.Options{Denied: []string{"UpdateNodegroupVersion"}})
	_, err := w.UpdateVersion(t.Context(), w.asked(2, "a"))
	if !larderaws.IsAccessDenied(err) || larderaws.Action(err) != "eks:UpdateNodegroupVersion" {
		t.Errorf("the call itself: %v", err)
	}
}
