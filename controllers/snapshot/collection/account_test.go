package collection

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

// account is a world whose AWS speaks the real protocols, to the real clients.
type account struct {
	*world
	server *fakeaws.Server
}

func newAccount(t *testing.T) *account {
	t.Helper()
	w := newWorld(t)
	server := fakeaws.NewForTest(t, fakeaws.Options{Region: home, Clock: w.clock})
	w.collector.Regions = func(name string) Region {
		config := server.Config()
		config.Region = name
		return Region{Snapshots: ebs.New(config, ebs.Options{Clock: w.clock}), Consumers: consumersOf(config)}
	}
	return &account{w, server}
}

// add seeds a snapshot, and returns the id that it got.
func (a *account) add(region string, like ebs.Snapshot) string {
	return a.server.AddSnapshot(fakeaws.Snapshot{Region: region, Tags: like.Tags, StartTime: like.StartTime})
}

// left are the ids of all snapshots of all Regions.
func (a *account) left() []string {
	var ids []string
	for _, one := range a.server.Snapshots() {
		ids = append(ids, one.ID)
	}
	return slices.Sorted(slices.Values(ids))
}

// template makes a launch template with a version for each of these snapshots; the first is the default one.
func (a *account) template(snapshots ...string) (id string) {
	a.t.Helper()
	dataOf := func(id string) *types.RequestLaunchTemplateData {
		return &types.RequestLaunchTemplateData{BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{{
			DeviceName: aws.String("/dev/xvdb"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{SnapshotId: &id},
		}}}
	}
	api, name := ec2.NewFromConfig(a.server.Config()), aws.String("workers")
	made, err := api.CreateLaunchTemplate(a.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: name, LaunchTemplateData: dataOf(snapshots[0])})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, id := range snapshots[1:] {
		if _, err := api.CreateLaunchTemplateVersion(a.t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: name, LaunchTemplateData: dataOf(id)}); err != nil {
			a.t.Fatal(err)
		}
	}
	return aws.ToString(made.LaunchTemplate.LaunchTemplateId)
}

// group makes an Auto Scaling group of a version of that template.
func (a *account) group(version string) {
	a.t.Helper()
	_, err := autoscaling.NewFromConfig(a.server.Config()).CreateAutoScalingGroup(a.t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("web"), MinSize: aws.Int32(0), MaxSize: aws.Int32(1), AvailabilityZones: []string{home + "a"},
		LaunchTemplate: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String("workers"), Version: &version},
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) create(object client.Object) {
	a.t.Helper()
	if err := a.client.Create(a.t.Context(), object); err != nil {
		a.t.Fatal(err)
	}
}

// user is another ImageCacheSnapshot than that of the snapshots that are to go.
func (a *account) user(change func(*larderv1alpha1.ImageCacheSnapshot)) {
	object := &larderv1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "training", UID: livesAs}}
	change(object)
	a.create(object)
}

func (a *account) binding(change func(*larderv1alpha1.NodeClassBinding)) {
	binding := &larderv1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}
	change(binding)
	a.create(binding)
}

// TestEachReferenceAlone has one snapshot that is due but for one reference, through the real clients.
func TestEachReferenceAlone(t *testing.T) {
	cases := map[string]struct {
		use func(a *account, id, other string)
		// free means that the snapshot goes.
		free bool
	}{
		"nothing": {func(*account, string, string) {}, true},
		"EC2NodeClass": {use: func(a *account, id, _ string) {
			class := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"blockDeviceMappings": []any{
				map[string]any{"deviceName": "/dev/xvdb", "ebs": map[string]any{"snapshotID": id}}}}}}
			class.SetGroupVersionKind(classKind)
			class.SetName("gpu")
			a.create(class)
		}},
		"template default":               {use: func(a *account, id, other string) { a.template(id, other) }},
		"template latest":                {use: func(a *account, id, other string) { a.template(other, id) }},
		"template named by an ASG":       {use: func(a *account, id, other string) { a.template(other, id, other); a.group("2") }},
		"template version of no concern": {func(a *account, id, other string) { a.template(other, id, other) }, true},
		"applied slot": {use: func(a *account, id, _ string) {
			a.binding(func(b *larderv1alpha1.NodeClassBinding) { b.Status.AppliedSnapshotID = id })
		}},
		"last-known-good slot": {use: func(a *account, id, _ string) {
			a.binding(func(b *larderv1alpha1.NodeClassBinding) { b.Status.LastKnownGoodSnapshotID = id })
		}},
		"parent of a build in flight": {use: func(a *account, id, _ string) {
			a.user(func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.Status.Build = &larderv1alpha1.BuildStatus{Step: larderv1alpha1.BuildWriting, ParentSnapshotID: id}
			})
		}},
		"snapshot of a build in flight": {use: func(a *account, id, _ string) {
			a.user(func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.Status.Build = &larderv1alpha1.BuildStatus{Step: larderv1alpha1.BuildCompleting, SnapshotID: id}
			})
		}},
		"pin": {use: func(a *account, id, _ string) {
			a.user(func(o *larderv1alpha1.ImageCacheSnapshot) {
				o.Spec.Revision = new(int64(4))
				o.Status.Revisions = []larderv1alpha1.RevisionStatus{{Number: 4, SnapshotID: id}}
			})
		}},
		"current": {use: func(a *account, id, _ string) {
			a.user(func(o *larderv1alpha1.ImageCacheSnapshot) { o.Status.SnapshotID = id })
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			id, other := a.add(home, due("", 1)), a.server.AddSnapshot(fakeaws.Snapshot{})
			c.use(a, id, other)
			a.sweep()
			a.clock.Step(400 * days)
			a.sweep()
			if gone := !slices.Contains(a.left(), id); gone != c.free {
				t.Errorf("gone: %t, want %t", gone, c.free)
			}
			if !slices.Contains(a.left(), other) {
				t.Error("a snapshot without any tag is gone")
			}
		})
	}
}

// TestEachReferenceAloneKeepsACopy has the references that other Regions have.
func TestEachReferenceAloneKeepsACopy(t *testing.T) {
	a := newAccount(t)
	a.user(copying) // so that the Region is looked at
	id := a.add(away, due("", 1, ebs.TagSourceID, "snap-0123456789abcdef0", ebs.TagSupersededAt, ago(40*days), tagOrphanedAt, ago(40*days)))
	a.binding(func(b *larderv1alpha1.NodeClassBinding) { b.Status.AppliedSnapshotID = id })
	a.sweep()
	if !slices.Contains(a.left(), id) {
		t.Error("a copy that a binding names is gone")
	}
	if err := a.client.DeleteAllOf(t.Context(), &larderv1alpha1.NodeClassBinding{}); err != nil {
		t.Fatal(err)
	}
	a.sweep()
	if slices.Contains(a.left(), id) {
		t.Error("a copy that nobody names is still there")
	}
}

// TestLooksAlikesSurvive loses exactly the orphans of a crowded account, each of which has a likeness.
func TestLooksAlikesSurvive(t *testing.T) {
	const orphans, alike = 100, 400
	cases := map[string]struct {
		// more retained snapshots carry our cluster's UID, and are listed on further pages.
		more int
	}{
		"500 snapshots":   {},
		"1,700 snapshots": {more: 1200},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			var ours, others []string
			add := func(snapshot ebs.Snapshot) { others = append(others, a.add(home, snapshot)) }
			for number := range int64(orphans) {
				one := made("", goneUID, number+1)
				ours = append(ours, a.add(home, one))
				add(startedAt(one, noon))
			}
			for number := range int64(alike - orphans) {
				one := made("", goneUID, 1000+number)
				add([]ebs.Snapshot{
					made("", goneUID, 1000+number, ebs.TagClusterUID, string(livesAs)),
					made("", goneUID, 1000+number, ebs.TagRetained, ago(0)),
					made("", goneUID, 1000+number, ebs.TagSourceID, ours[0]),
					made("", goneUID, 1000+number, ebs.TagRevision, "v1"),
					without(one, ebs.TagAttempt), without(one, ebs.TagClusterUID), {},
				}[number%7])
			}
			for number := range int64(c.more) {
				add(made("", goneUID, 5000+number, ebs.TagRetained, ago(0)))
			}
			for range 2 {
				for range orphans/writesPerSweep + 1 {
					a.sweep()
					a.clock.Step(time.Minute)
				}
				a.clock.Step(DefaultOrphanGrace)
			}
			a.clock.Step(400 * days)
			a.sweep()
			slices.Sort(others)
			if diff := cmp.Diff(others, a.left()); diff != "" {
				t.Errorf("left of %d, of which %d are orphans (-want +got):\n%s", len(ours)+len(others), len(ours), diff)
			}
			calls := a.server.MutatingCalls()
			want := map[string]int{"CreateTags": orphans, "DeleteSnapshot": orphans}
			if diff := cmp.Diff(want, calls); diff != "" {
				t.Errorf("calls that change something (-want +got):\n%s", diff)
			}
		})
	}
}
