package distribution

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/ssm"
	"github.com/larder-dev/larder/test/fakeaws"
)

// account is the double of AWS that speaks its wire protocols, and a Distributor with the real clients.
type account struct {
	*world
	server      *fakeaws.Server
	distributor *Distributor
	home        *ebs.Client
	// ids are the snapshots of all revisions; the last one is current.
	ids []string
}

func newAccount(t *testing.T, spec larderv1alpha1.ImageCacheSnapshotSpec, options fakeaws.Options) *account {
	t.Helper()
	a := &account{world: newWorld(t, spec)}
	options.Clock = a.clock
	a.server = fakeaws.NewForTest(t, options)
	config := func(region string) aws.Config {
		cfg := a.server.Config()
		cfg.Region = region
		cfg.Retryer = func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.Backoff = noDelay })
		}
		return cfg
	}
	client := func(region string) *ebs.Client {
		return ebs.New(config(region), ebs.Options{Clock: a.clock, Backoff: noDelay})
	}
	a.home = client("us-west-2")
	a.distributor = a.world.distributor()
	a.distributor.Region = "us-west-2"
	a.distributor.Home, a.distributor.FastRestores = a.home, a.home
	a.distributor.Elsewhere = func(region string) Copies { return client(region) }
	a.distributor.Keys = func(region string) Keys { return kms.New(config(region)) }
	a.distributor.Parameters = ssm.New(config("us-west-2"))
	a.build(fakeaws.Snapshot{})
	return a
}

var noDelay = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })

func (a *account) build(snapshot fakeaws.Snapshot) {
	snapshot.VolumeSize = 20
	snapshot.Tags = map[string]string{
		ebs.TagClusterUID: "cluster-uid", ebs.TagObjectUID: "object-uid", ebs.TagContentHash: "hash",
		ebs.TagRevision: string(rune('1' + len(a.ids))),
	}
	a.ids = append(a.ids, a.server.AddSnapshot(snapshot))
}

// pass is one of the controller's.
func (a *account) pass() error {
	a.t.Helper()
	var snapshots []ebs.Snapshot
	for _, id := range a.ids {
		snapshot, err := a.home.Describe(a.t.Context(), id)
		if err != nil {
			a.t.Fatal(err)
		}
		snapshots = append(snapshots, snapshot)
	}
	last := len(snapshots) - 1
	return a.passWith(a.distributor, snapshots[last], snapshots[:last])
}

// run makes passes for so long; what goes wrong comes right with the next one.
func (a *account) run(duration time.Duration) *larderv1alpha1.ImageCacheSnapshot {
	a.t.Helper()
	for until := a.clock.Now().Add(duration); a.clock.Now().Before(until); {
		_ = a.pass()
		a.wait(max(a.outcome.After, 10*time.Second))
	}
	object := a.object()
	checkStatus(a.t, object)
	return object
}

// find returns a snapshot as it really is.
func (a *account) find(keep func(fakeaws.Snapshot) bool) []fakeaws.Snapshot {
	var found []fakeaws.Snapshot
	for _, one := range a.server.Snapshots() {
		if keep(one) {
			found = append(found, one)
		}
	}
	return found
}

func (a *account) copies(region string) []fakeaws.Snapshot {
	return a.find(func(s fakeaws.Snapshot) bool { return s.Region == region && s.CopiedFrom == a.ids[len(a.ids)-1] })
}

func awsEverything() larderv1alpha1.ImageCacheSnapshotSpec {
	return larderv1alpha1.ImageCacheSnapshotSpec{
		Copies: copiesIn("us-east-1", "eu-west-1"), SharedWith: []larderv1alpha1.AccountID{bob},
		FastSnapshotRestore: restoresIn("us-west-2a", "us-west-2b"), Publish: publishTo("/larder/a", "a"),
	}
}

// TestAllOfItOverTheWire goes through two revisions, and then counts what the steady state costs.
func TestAllOfItOverTheWire(t *testing.T) {
	a := newAccount(t, awsEverything(), fakeaws.Options{CopyFor: 3 * time.Minute, RestoreStep: 5 * time.Minute, HiddenCalls: 1})
	a.run(30 * time.Minute)
	a.build(fakeaws.Snapshot{})
	object := a.run(time.Hour)
	for kind := range asked(object.Spec) {
		if !meta.IsStatusConditionTrue(object.Status.Conditions, kind) {
			t.Errorf("%s is %+v", kind, a.condition(kind))
		}
	}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		copies := a.copies(region)
		if len(copies) != 1 || copies[0].State != ebs.StateCompleted || copies[0].Tags[ebs.TagSourceID] != a.ids[1] || copies[0].Tags[ebs.TagRevision] != "2" {
			t.Errorf("copies in %s: %+v", region, copies)
		}
	}
	current := a.find(func(s fakeaws.Snapshot) bool { return s.ID == a.ids[1] })[0]
	if diff := cmp.Diff([]string{bob}, current.SharedWith); diff != "" {
		t.Errorf("shared (-want +got):\n%s", diff)
	}
	restores, err := a.home.FastRestores(t.Context(), a.ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range restores {
		if (one.State == ebs.FastRestoreEnabled) != (one.SnapshotID == a.ids[1]) {
			t.Errorf("fast restores: %+v", restores)
		}
	}
	if parameter, _ := a.server.Parameter("/larder/a"); parameter.Value != a.ids[1] || a.configMap("a").Data["snapshotID"] != a.ids[1] {
		t.Errorf("published %+v and %+v", parameter, a.configMap("a"))
	}

	before := a.server.MutatingCalls()
	version := object.ResourceVersion
	a.run(time.Hour)
	if diff := cmp.Diff(before, a.server.MutatingCalls()); diff != "" || a.object().ResourceVersion != version {
		t.Errorf("the steady state writes (-before +after):\n%s", diff)
	}
}

// TestALostAnswerMakesNoSecondCopyOverTheWire hides the copy from the list as well.
func TestALostAnswerMakesNoSecondCopyOverTheWire(t *testing.T) {
	a := newAccount(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-east-1")}, fakeaws.Options{CopyFor: 3 * time.Minute})
	a.server.Inject(fakeaws.Fault{Action: "CopySnapshot", Kind: fakeaws.LostResponse, Times: 1})
	object := a.run(15 * time.Minute)
	if copies := a.copies("us-east-1"); len(copies) != 1 || a.server.Calls("CopySnapshot") != 1 {
		t.Errorf("%d calls made %d copies", a.server.Calls("CopySnapshot"), len(copies))
	}
	if got := states(object)["us-east-1"]; got != larderv1alpha1.CopyCompleted {
		t.Errorf("the copy is %s", got)
	}
}

func TestTroubleOverTheWire(t *testing.T) {
	cases := map[string]struct {
		reason  string
		spec    larderv1alpha1.ImageCacheSnapshotSpec
		prepare func(*account)
		kind    string
		why     string
		told    []string
	}{
		"no such Region": {
			reason: "AWS refuses the very name",
			spec:   larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-nowhere-1")},
			kind:   larderv1alpha1.ConditionCopiesReady, why: larderv1alpha1.ReasonRegionUnusable, told: []string{"us-nowhere-1"},
		},
		"a Region that is not enabled": {
			reason: "there AWS would answer as if our credentials were wrong",
			spec:   larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("me-south-1")},
			kind:   larderv1alpha1.ConditionCopiesReady, why: larderv1alpha1.ReasonRegionUnusable, told: []string{"me-south-1", "enable"},
		},
		"an unknown key": {
			reason: "AWS would only say so when it has copied",
			spec:   larderv1alpha1.ImageCacheSnapshotSpec{Copies: []larderv1alpha1.RegionalCopy{{Region: "us-east-1", KMSKeyID: "alias/none"}}},
			kind:   larderv1alpha1.ConditionCopiesReady, why: larderv1alpha1.ReasonKMSKeyUnusable, told: []string{"alias/none", "us-east-1"},
		},
		"a key that is to be deleted": {
			reason: "the state says what to do",
			spec:   larderv1alpha1.ImageCacheSnapshotSpec{Copies: []larderv1alpha1.RegionalCopy{{Region: "us-east-1", KMSKeyID: "alias/doomed"}}},
			prepare: func(a *account) {
				a.server.AddKey(fakeaws.Key{ID: "11111111-1111-1111-1111-111111111111", Region: "us-east-1", State: fakeaws.KeyPendingDeletion, Aliases: []string{"alias/doomed"}})
			},
			kind: larderv1alpha1.ConditionCopiesReady, why: larderv1alpha1.ReasonKMSKeyUnusable, told: []string{"PendingDeletion"},
		},
		"the default key": {
			reason:  "no other account may use it",
			spec:    larderv1alpha1.ImageCacheSnapshotSpec{SharedWith: []larderv1alpha1.AccountID{bob}},
			prepare: func(a *account) { a.build(fakeaws.Snapshot{Encrypted: true}) },
			kind:    larderv1alpha1.ConditionShared, why: larderv1alpha1.ReasonDefaultKeyNotShared, told: []string{"spec.encryption.kmsKeyID"},
		},
		"an unknown zone": {
			reason: "AWS says which",
			spec:   larderv1alpha1.ImageCacheSnapshotSpec{FastSnapshotRestore: restoresIn("us-west-2a", "us-west-2z")},
			kind:   larderv1alpha1.ConditionFastSnapshotRestoreReady, why: larderv1alpha1.ReasonAWSError, told: []string{"us-west-2z", "us-west-2a enabled"},
		},
		"no permission to tag": {
			reason:  "nothing else is done then",
			spec:    larderv1alpha1.ImageCacheSnapshotSpec{Publish: publishTo("/larder/a", "")},
			prepare: func(a *account) { a.server.Inject(fakeaws.Fault{Action: "CreateTags", Kind: fakeaws.Denied}) },
			kind:    larderv1alpha1.ConditionPublished, why: larderv1alpha1.ReasonAccessDenied, told: []string{"tagging"},
		},
		"somebody's parameter": {
			reason: "it is not overwritten",
			spec:   larderv1alpha1.ImageCacheSnapshotSpec{Publish: publishTo("/larder/a", "")},
			prepare: func(a *account) {
				a.server.AddParameter(fakeaws.Parameter{Name: "/larder/a", Value: "ami-1"})
			},
			kind: larderv1alpha1.ConditionPublished, why: larderv1alpha1.ReasonNotOurs, told: []string{"/larder/a"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, tc.spec, fakeaws.Options{})
			if tc.prepare != nil {
				tc.prepare(a)
			}
			a.run(3 * time.Minute)
			got := a.condition(tc.kind)
			if got.Reason != tc.why {
				t.Errorf("%s: %+v", tc.reason, got)
			}
			for _, part := range tc.told {
				if !strings.Contains(got.Message, part) {
					t.Errorf("%s: the condition lacks %q: %s", tc.reason, part, got.Message)
				}
			}
			if len(a.outcome.Problems) != 1 || !a.outcome.Problems[0].NeedsPerson {
				t.Errorf("%s: the problems are %+v", tc.reason, a.outcome.Problems)
			}
		})
	}
}

// TestACopyThatAWSFailsOverTheWire has the copy end in error, as AWS does with a key that it cannot use in the end.
func TestACopyThatAWSFailsOverTheWire(t *testing.T) {
	a := newAccount(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-east-1")}, fakeaws.Options{CopyFor: time.Minute})
	if err := a.pass(); err != nil {
		t.Fatal(err)
	}
	failed := a.copies("us-east-1")[0].ID
	a.server.Fail(failed, "Given key ID is not accessible")
	a.run(time.Minute)
	if got := a.condition(larderv1alpha1.ConditionCopiesReady); got.Reason != larderv1alpha1.ReasonCopyFailed || !strings.Contains(got.Message, "Given key ID is not accessible") {
		t.Errorf("the condition is %+v", got)
	}
	a.run(20 * time.Minute)
	if copies := a.copies("us-east-1"); len(copies) != 1 || copies[0].ID == failed || copies[0].State != ebs.StateCompleted {
		t.Errorf("want another copy in place of %s: %+v", failed, copies)
	}
}
