package fakeaws_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

var eksRows = []row{{
	name: "a cluster that is not there has no node groups",
	check: func(t *testing.T, cfg aws.Config) {
		_, err := eks.NewFromConfig(cfg).DescribeNodegroup(t.Context(), &eks.DescribeNodegroupInput{ClusterName: aws.String("none"), NodegroupName: aws.String("web")})
		wantError(t, err, "ResourceNotFoundException", "")
	},
}}

// groupWorld is an account with the group "web" of cluster "prod", on version 1 of a template of two.
type groupWorld struct {
	*account
	eks        *eks.Client
	templateID string
}

func newGroupWorld(t *testing.T, options fakeaws.Options, change func(*fakeaws.NodeGroup)) *groupWorld {
	t.Helper()
	a := newAccount(t, options)
	w := &groupWorld{account: a, eks: eks.NewFromConfig(a.noRetries())}
	made, err := a.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("workers"), LaunchTemplateData: bootsFrom(a.AddSnapshot(fakeaws.Snapshot{})),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.templateID = aws.ToString(made.LaunchTemplate.LaunchTemplateId)
	w.version(bootsFrom(a.AddSnapshot(fakeaws.Snapshot{})))
	w.version(bootsFrom("snap-0123456789abcdef0"))
	group := fakeaws.NodeGroup{Cluster: "prod", Name: "web", TemplateID: w.templateID, TemplateVersion: 1, DesiredSize: 2, MaxSize: 4}
	if change != nil {
		change(&group)
	}
	a.AddNodeGroup(group)
	return w
}

func bootsFrom(snapshot string) *ec2types.RequestLaunchTemplateData {
	return &ec2types.RequestLaunchTemplateData{BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{
		{DeviceName: aws.String("/dev/xvdb"), Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{SnapshotId: &snapshot}},
	}}
}

// version adds one to the template and returns its number.
func (w *groupWorld) version(data *ec2types.RequestLaunchTemplateData) string {
	w.t.Helper()
	out, err := w.ec2.CreateLaunchTemplateVersion(w.t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &w.templateID, LaunchTemplateData: data})
	if err != nil {
		w.t.Fatal(err)
	}
	return strconv.FormatInt(aws.ToInt64(out.LaunchTemplateVersion.VersionNumber), 10)
}

// pinned asks for a version of the template and nothing else.
func (w *groupWorld) pinned(version string) *eks.UpdateNodegroupVersionInput {
	group, _ := w.NodeGroup("prod", "web")
	return &eks.UpdateNodegroupVersionInput{
		ClusterName: aws.String("prod"), NodegroupName: aws.String("web"), Version: &group.Version, ReleaseVersion: &group.ReleaseVersion,
		LaunchTemplate: &types.LaunchTemplateSpecification{Id: &w.templateID, Version: &version},
	}
}

func (w *groupWorld) update(in *eks.UpdateNodegroupVersionInput) *types.Update {
	w.t.Helper()
	out, err := w.eks.UpdateNodegroupVersion(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Update
}

func (w *groupWorld) status() (status types.NodegroupStatus, version string) {
	w.t.Helper()
	out, err := w.eks.DescribeNodegroup(w.t.Context(), &eks.DescribeNodegroupInput{ClusterName: aws.String("prod"), NodegroupName: aws.String("web")})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Nodegroup.Status, aws.ToString(out.Nodegroup.LaunchTemplate.Version)
}

func TestNodeGroupUpdateTakesItsTime(t *testing.T) {
	w := newGroupWorld(t, fakeaws.Options{NodeGroupUpdateFor: time.Minute}, nil)
	asked := w.update(w.pinned("2"))
	if asked.Status != types.UpdateStatusInProgress || asked.Type != types.UpdateTypeVersionUpdate || !aws.ToTime(asked.CreatedAt).Equal(epoch) {
		t.Errorf("update %+v", asked)
	}
	for _, c := range []struct {
		after  time.Duration
		status types.NodegroupStatus
		on     string
	}{{59 * time.Second, types.NodegroupStatusUpdating, "1"}, {time.Second, types.NodegroupStatusActive, "2"}} {
		w.pass(c.after)
		if status, on := w.status(); status != c.status || on != c.on {
			t.Errorf("%s: %s on version %s, want %s on %s", c.after, status, on, c.status, c.on)
		}
	}
	group, _ := w.NodeGroup("prod", "web")
	if group.Version != "1.34" || group.ReleaseVersion != "1.49.0-0a1b2c3d" {
		t.Errorf("a pinned update moved the AMI: %+v", group)
	}
}

func TestNodeGroupUpdateWithoutPinsMovesTheAMI(t *testing.T) {
	w := newGroupWorld(t, fakeaws.Options{}, nil)
	in := w.pinned("2")
	in.Version, in.ReleaseVersion = nil, nil
	w.update(in)
	group, _ := w.NodeGroup("prod", "web")
	if group.Version != "1.35" || group.ReleaseVersion != "1.51.0-9f8e7d6c" {
		t.Errorf("on %s, release %s", group.Version, group.ReleaseVersion)
	}
}

func TestNodeGroupUpdateFails(t *testing.T) {
	cases := map[string]struct {
		version string
		scripts []fakeaws.NodeGroupIssue
		want    string
	}{
		"a snapshot that is not there":    {"3", nil, "AsgInstanceLaunchFailures"},
		"pods that cannot be evicted":     {"2", []fakeaws.NodeGroupIssue{{Code: "PodEvictionFailure", Message: "Reached max retries while trying to evict pods"}}, "PodEvictionFailure"},
		"a version deleted in the middle": {"2", nil, "Ec2LaunchTemplateNotFound"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newGroupWorld(t, fakeaws.Options{NodeGroupUpdateFor: time.Minute}, nil)
			w.FailNextUpdate("prod", "web", c.scripts...)
			id := w.update(w.pinned(c.version)).Id
			if c.want == "Ec2LaunchTemplateNotFound" {
				if _, err := w.ec2.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &w.templateID}); err != nil {
					t.Fatal(err)
				}
			}
			w.pass(time.Minute)
			out, err := w.eks.DescribeUpdate(t.Context(), &eks.DescribeUpdateInput{Name: aws.String("prod"), NodegroupName: aws.String("web"), UpdateId: id})
			if err != nil {
				t.Fatal(err)
			}
			if out.Update.Status != types.UpdateStatusFailed || len(out.Update.Errors) != 1 || string(out.Update.Errors[0].ErrorCode) != c.want {
				t.Errorf("update %+v", out.Update)
			}
			if status, on := w.status(); status != types.NodegroupStatusActive || on != "1" {
				t.Errorf("%s on version %s: a group that fails goes back", status, on)
			}
		})
	}
}

func TestNodeGroupUpdateRefusals(t *testing.T) {
	cases := map[string]struct {
		options fakeaws.Options
		group   func(*fakeaws.NodeGroup)
		change  func(w *groupWorld, in *eks.UpdateNodegroupVersionInput)
		want    string
	}{
		"a version that is not there": {change: func(_ *groupWorld, in *eks.UpdateNodegroupVersionInput) { in.LaunchTemplate.Version = aws.String("9") }, want: "InvalidParameterException"},
		"another template": {change: func(w *groupWorld, in *eks.UpdateNodegroupVersionInput) {
			in.LaunchTemplate.Id = aws.String(makeTemplate(w.t, w.noRetries(), "other", "snap-1"))
		}, want: "InvalidParameterException"},
		"a template by id and name": {change: func(_ *groupWorld, in *eks.UpdateNodegroupVersionInput) {
			in.LaunchTemplate.Name = aws.String("workers")
		}, want: "InvalidParameterException"},
		"a group without a template": {group: func(g *fakeaws.NodeGroup) { g.TemplateID = "" }, want: "InvalidRequestException"},
		"pins for a custom AMI":      {group: func(g *fakeaws.NodeGroup) { g.AMIType = "CUSTOM" }, want: "InvalidParameterException"},
		"a custom AMI that the template does not name": {group: func(g *fakeaws.NodeGroup) { g.AMIType = "CUSTOM" },
			change: func(_ *groupWorld, in *eks.UpdateNodegroupVersionInput) { in.Version, in.ReleaseVersion = nil, nil }, want: "InvalidParameterException"},
		"an AMI in the template of a group that is not custom": {change: func(w *groupWorld, in *eks.UpdateNodegroupVersionInput) {
			in.LaunchTemplate.Version = aws.String(w.version(&ec2types.RequestLaunchTemplateData{ImageId: aws.String("ami-0123456789abcdef0")}))
		}, want: "InvalidParameterException"},
		"a release of another version":  {change: func(_ *groupWorld, in *eks.UpdateNodegroupVersionInput) { in.Version = aws.String("1.35") }, want: "InvalidParameterException"},
		"another running":               {options: fakeaws.Options{NodeGroupUpdateFor: time.Minute}, change: func(w *groupWorld, _ *eks.UpdateNodegroupVersionInput) { w.update(w.pinned("3")) }, want: "ResourceInUseException"},
		"a group that is being deleted": {group: func(g *fakeaws.NodeGroup) { g.Status = "DELETING" }, want: "ResourceInUseException"},
		"a group that is not there":     {change: func(_ *groupWorld, in *eks.UpdateNodegroupVersionInput) { in.NodegroupName = aws.String("none") }, want: "ResourceNotFoundException"},
		"launches that are denied":      {options: fakeaws.Options{Denied: []string{"RunInstances"}}, want: "InvalidRequestException"},
		"the call itself denied":        {options: fakeaws.Options{Denied: []string{"UpdateNodegroupVersion"}}, want: "AccessDeniedException"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newGroupWorld(t, c.options, c.group)
			in := w.pinned("2")
			if c.change != nil {
				c.change(w, in)
			}
			_, err := w.eks.UpdateNodegroupVersion(t.Context(), in)
			wantError(t, err, c.want, "")
		})
	}
}

func TestNodeGroupUpdateToken(t *testing.T) {
	w := newGroupWorld(t, fakeaws.Options{NodeGroupUpdateFor: time.Minute}, nil)
	in := w.pinned("2")
	in.ClientRequestToken = aws.String("larder-1")
	first, again := w.update(in), w.update(in)
	if aws.ToString(first.Id) != aws.ToString(again.Id) || len(w.NodeGroupUpdates("prod", "web")) != 1 {
		t.Error("the same token began another update")
	}
	w.pass(time.Minute)
	in.LaunchTemplate.Version = aws.String("1")
	_, err := w.eks.UpdateNodegroupVersion(t.Context(), in)
	wantError(t, err, "InvalidParameterException", "")
}

func TestNodeGroupUpdatesComeInPages(t *testing.T) {
	w := newGroupWorld(t, fakeaws.Options{}, nil)
	var want, got []string
	for range 5 {
		want = append(want, aws.ToString(w.update(w.pinned("2")).Id))
	}
	in := &eks.ListUpdatesInput{Name: aws.String("prod"), NodegroupName: aws.String("web"), MaxResults: aws.Int32(2)}
	for pages := eks.NewListUpdatesPaginator(w.eks, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.UpdateIds...)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || w.Calls("ListUpdates") != 3 {
		t.Errorf("%d pages, ids (-want +got):\n%s", w.Calls("ListUpdates"), diff)
	}
	in.MaxResults = aws.Int32(101)
	_, err := w.eks.ListUpdates(t.Context(), in)
	wantError(t, err, "InvalidParameterException", "")
	_, err = w.eks.DescribeUpdate(t.Context(), &eks.DescribeUpdateInput{Name: aws.String("prod"), NodegroupName: aws.String("web"), UpdateId: aws.String("none")})
	wantError(t, err, "ResourceNotFoundException", "")
}

func TestNodeGroupConfigUpdateKeepsOthersOut(t *testing.T) {
	w := newGroupWorld(t, fakeaws.Options{NodeGroupUpdateFor: time.Minute}, nil)
	in := &eks.UpdateNodegroupConfigInput{ClusterName: aws.String("prod"), NodegroupName: aws.String("web"), ScalingConfig: &types.NodegroupScalingConfig{DesiredSize: aws.Int32(3)}}
	out, err := w.eks.UpdateNodegroupConfig(t.Context(), in)
	if err != nil || out.Update.Type != types.UpdateTypeConfigUpdate {
		t.Fatal(out, err)
	}
	_, err = w.eks.UpdateNodegroupVersion(t.Context(), w.pinned("2"))
	wantError(t, err, "ResourceInUseException", "")
	w.pass(time.Minute)
	if group, _ := w.NodeGroup("prod", "web"); group.DesiredSize != 3 || group.TemplateVersion != 1 {
		t.Errorf("group %+v", group)
	}
	in.ScalingConfig.DesiredSize = aws.Int32(9)
	_, err = w.eks.UpdateNodegroupConfig(t.Context(), in)
	wantError(t, err, "InvalidParameterException", "")
}

func TestNodeGroupHealth(t *testing.T) {
	w := newGroupWorld(t, fakeaws.Options{}, nil)
	w.SetNodeGroupHealth("prod", "web", "DEGRADED", fakeaws.NodeGroupIssue{Code: "NodeCreationFailure", Message: "Unhealthy nodes", ResourceIDs: []string{"i-1"}})
	out, err := w.eks.DescribeNodegroup(t.Context(), &eks.DescribeNodegroupInput{ClusterName: aws.String("prod"), NodegroupName: aws.String("web")})
	if err != nil {
		t.Fatal(err)
	}
	want := []types.Issue{{Code: types.NodegroupIssueCodeNodeCreationFailure, Message: aws.String("Unhealthy nodes"), ResourceIds: []string{"i-1"}}}
	if diff := cmp.Diff(want, out.Nodegroup.Health.Issues, ignoreUnexported); diff != "" || out.Nodegroup.Status != types.NodegroupStatusDegraded {
		t.Errorf("%s, issues (-want +got):\n%s", out.Nodegroup.Status, diff)
	}
	w.update(w.pinned("2"))
	if status, on := w.status(); status != types.NodegroupStatusActive || on != "2" {
		t.Errorf("%s on version %s after an update that succeeded", status, on)
	}
}
