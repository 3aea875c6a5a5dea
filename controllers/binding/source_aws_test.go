package binding_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-cmp/cmp"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/ssm"
	"github.com/larder-dev/larder/test/fakeaws"
)

// awsWorld is a SnapshotSource over the clients that the operator has, and the double of AWS that answers them.
type awsWorld struct {
	*fakeaws.Server
	source *binding.SnapshotSource
	clock  *testingclock.FakePassiveClock
}

func newAWSWorld(t *testing.T, options fakeaws.Options) *awsWorld {
	t.Helper()
	w := &awsWorld{clock: testingclock.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	options.Clock = w.clock
	w.Server = fakeaws.NewForTest(t, options)
	cfg := w.Config()
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	w.source = &binding.SnapshotSource{
		Client:    fake.NewClientBuilder().Build(),
		Snapshots: ebs.New(cfg, ebs.Options{Backoff: retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })}),
		Keys:      kms.New(cfg), Parameters: ssm.New(cfg),
		Account: func(ctx context.Context) (string, error) {
			identity, err := larderaws.Identify(ctx, cfg)
			return identity.AccountID, err
		},
		Region: sourceRegion, Clock: w.clock,
	}
	return w
}

func (w *awsWorld) publish(id string) {
	w.AddParameter(fakeaws.Parameter{Name: "/larder/inference", Value: id})
}

// customer's keys.
const (
	ownKey     = "arn:aws:kms:us-west-2:111122223333:key/11111111-2222-3333-4444-555555555555"
	foreignKey = "arn:aws:kms:us-west-2:444455556666:key/22222222-2222-3333-4444-555555555555"
)

func TestEveryStateOfASnapshotInAWS(t *testing.T) {
	lookAgain := 30 * time.Second
	encrypted := func(state string, grantees ...string) func(*testing.T, *awsWorld) string {
		return func(_ *testing.T, w *awsWorld) string {
			w.AddKey(fakeaws.Key{ID: "11111111-2222-3333-4444-555555555555", State: state, Grantees: grantees})
			return w.AddSnapshot(fakeaws.Snapshot{Encrypted: true, KMSKeyID: ownKey})
		}
	}
	of := func(snapshot fakeaws.Snapshot) func(*testing.T, *awsWorld) string {
		return func(_ *testing.T, w *awsWorld) string { return w.AddSnapshot(snapshot) }
	}
	contents := ebs.Contents{Format: "Bottlerocket", Platforms: []string{"linux/arm64", "linux/amd64"}, StoredBytes: 3 << 30}
	cases := map[string]struct {
		reason  string
		options fakeaws.Options
		owners  []string
		make    func(*testing.T, *awsWorld) string
		want    binding.Snapshot
		problem binding.Problem
	}{
		"ours, with all its tags": {
			reason: "another cluster of the account made it",
			make:   of(fakeaws.Snapshot{VolumeSize: 40, Tags: contents.Tags()}),
			want: binding.Snapshot{SizeGiB: 40, Format: v1alpha1.FormatBottlerocket, StoredBytes: 3 << 30,
				Platforms: []string{"linux/amd64", "linux/arm64"}},
		},
		"ours, with tags that a person spoilt": {
			reason: "a format that does not exist would never fit",
			make: of(fakeaws.Snapshot{VolumeSize: 40, Tags: map[string]string{
				ebs.TagFormat: "bottle rocket", ebs.TagPlatforms: " ", ebs.TagStoredBytes: "-3"}}),
			want: binding.Snapshot{SizeGiB: 40},
		},
		"shared with us by an account that is allowed": {
			reason: "one build serves many clusters; its tags stay with its owner", owners: []string{otherAccount},
			make: of(fakeaws.Snapshot{VolumeSize: 40, Owner: otherAccount, SharedWith: []string{ownAccount}, Tags: contents.Tags()}),
			want: binding.Snapshot{SizeGiB: 40},
		},
		"shared with us by anybody": {
			reason: "an id is soon pasted, and what boots from it has the nodes' rights",
			make:   of(fakeaws.Snapshot{Owner: otherAccount, SharedWith: []string{ownAccount}}),
			problem: binding.Problem{Reason: v1alpha1.ReasonOwnerNotAllowed, Stalled: true, RetryAfter: lookAgain,
				Message: "--allowed-snapshot-owners=444455556666"},
		},
		"not shared with us": {
			reason: "AWS does not even say that it exists", owners: []string{otherAccount},
			make: of(fakeaws.Snapshot{Owner: otherAccount}),
			problem: binding.Problem{Reason: v1alpha1.ReasonSnapshotNotFound, Stalled: true, RetryAfter: lookAgain,
				Message: "is not in Region us-west-2: if it exists, it is in another Region or not shared with account 111122223333"},
		},
		"in another Region": {
			reason: "the same id is of no use here",
			make:   of(fakeaws.Snapshot{Region: "eu-west-1"}),
			problem: binding.Problem{Reason: v1alpha1.ReasonSnapshotNotFound, Stalled: true, RetryAfter: lookAgain,
				Message: "in another Region"},
		},
		"pending": {
			reason: "whoever publishes it was early", options: fakeaws.Options{CopyFor: time.Hour},
			make: pendingCopy,
			problem: binding.Problem{Reason: v1alpha1.ReasonPending, RetryAfter: lookAgain,
				Message: "is pending (0%): it is looked at again"},
		},
		"failed": {
			reason: "AWS will not store it any more",
			make: func(_ *testing.T, w *awsWorld) string {
				id := w.AddSnapshot(fakeaws.Snapshot{})
				w.Fail(id, "Client.InternalError")
				return id
			},
			problem: binding.Problem{Reason: v1alpha1.ReasonSnapshotFailed, Stalled: true, RetryAfter: lookAgain,
				Message: "Client.InternalError: name another"},
		},
		"archived": {
			reason: "EC2 refuses each launch until somebody restores it",
			make:   of(fakeaws.Snapshot{Archived: true}),
			problem: binding.Problem{Reason: v1alpha1.ReasonSnapshotArchived, Stalled: true, RetryAfter: lookAgain,
				Message: "aws ec2 restore-snapshot-tier --region us-west-2 --snapshot-id snap-"},
		},
		"encrypted with AWS's own key": {
			reason: "it needs no grant of anybody's",
			make:   of(fakeaws.Snapshot{Encrypted: true}),
			want:   binding.Snapshot{SizeGiB: 1},
		},
		"encrypted with our key": {
			reason: "who has grants is for the preflight to weigh",
			make:   encrypted(fakeaws.KeyEnabled, "arn:aws:iam::111122223333:role/b", "arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b"),
			want: binding.Snapshot{SizeGiB: 1, Key: &binding.Key{ARN: ownKey,
				Grantees: []string{"arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b"}}},
		},
		"encrypted with our key, without a grant": {
			reason: "none is not the same as unknown",
			make:   encrypted(fakeaws.KeyEnabled),
			want:   binding.Snapshot{SizeGiB: 1, Key: &binding.Key{ARN: ownKey, Grantees: []string{}}},
		},
		"grants that we may not list": {
			reason: "nodes may be able to use the key all the same", options: fakeaws.Options{Denied: []string{"ListGrants"}},
			make: encrypted(fakeaws.KeyEnabled, "arn:aws:iam::111122223333:role/a"),
			want: binding.Snapshot{SizeGiB: 1, Key: &binding.Key{ARN: ownKey}},
		},
		"encrypted with a key of its owner's": {
			reason: "the owner shares the key too", owners: []string{otherAccount},
			make: func(_ *testing.T, w *awsWorld) string {
				w.AddKey(fakeaws.Key{ID: "22222222-2222-3333-4444-555555555555", ARN: foreignKey, Grantees: []string{"arn:aws:iam::111122223333:role/nodes"}})
				return w.AddSnapshot(fakeaws.Snapshot{Owner: otherAccount, SharedWith: []string{ownAccount}, Encrypted: true, KMSKeyID: foreignKey})
			},
			want: binding.Snapshot{SizeGiB: 1, Key: &binding.Key{ARN: foreignKey, Grantees: []string{"arn:aws:iam::111122223333:role/nodes"}}},
		},
		"a key that we may not describe": {
			reason: "nodes may be able to use it all the same", options: fakeaws.Options{Denied: []string{"DescribeKey"}},
			make: encrypted(fakeaws.KeyEnabled),
			want: binding.Snapshot{SizeGiB: 1, Key: &binding.Key{ARN: ownKey}},
		},
		"a key that is disabled": {
			reason: "each launch would fail", make: encrypted(fakeaws.KeyDisabled),
			problem: binding.Problem{Reason: v1alpha1.ReasonKMSKeyUnusable, Stalled: true, RetryAfter: lookAgain,
				Message: ownKey + ", which is Disabled"},
		},
		"a key that is to be deleted": {
			reason: "each launch would fail", make: encrypted(fakeaws.KeyPendingDeletion),
			problem: binding.Problem{Reason: v1alpha1.ReasonKMSKeyUnusable, Stalled: true, RetryAfter: lookAgain,
				Message: ownKey + ", which is PendingDeletion"},
		},
		"a key that is gone": {
			reason: "nobody will ever read the snapshot again",
			make:   of(fakeaws.Snapshot{Encrypted: true, KMSKeyID: ownKey}),
			problem: binding.Problem{Reason: v1alpha1.ReasonKMSKeyUnusable, Stalled: true, RetryAfter: lookAgain,
				Message: ownKey + ", which does not exist"},
		},
		"fast restores": {
			reason: "a rate that is set would be ignored", options: fakeaws.Options{RestoreStep: time.Hour},
			make: func(t *testing.T, w *awsWorld) string {
				id := w.AddSnapshot(fakeaws.Snapshot{})
				if err := ebs.New(w.Config(), ebs.Options{}).EnableFastRestore(t.Context(), id, []string{"us-west-2a"}); err != nil {
					t.Fatal(err)
				}
				return id
			},
			want: binding.Snapshot{SizeGiB: 1, FastRestore: true},
		},
		"a role without the right to look": {
			reason: "somebody must extend it", options: fakeaws.Options{Denied: []string{"DescribeSnapshots"}},
			make: of(fakeaws.Snapshot{}),
			problem: binding.Problem{Reason: v1alpha1.ReasonAccessDenied, Stalled: true, RetryAfter: lookAgain,
				Message: "is not authorized to perform: ec2:DescribeSnapshots"},
		},
		"a role without the right to read the parameter": {
			reason: "the same", options: fakeaws.Options{Denied: []string{"GetParameter"}},
			make: of(fakeaws.Snapshot{}),
			problem: binding.Problem{Reason: v1alpha1.ReasonAccessDenied, Stalled: true, RetryAfter: lookAgain,
				Message: "is not authorized to perform: ssm:GetParameter"},
		},
		"throttled for long": {
			reason: "only time helps",
			make: func(_ *testing.T, w *awsWorld) string {
				w.Inject(fakeaws.Fault{Action: "DescribeSnapshots", Kind: fakeaws.Throttle})
				return w.AddSnapshot(fakeaws.Snapshot{})
			},
			problem: binding.Problem{Reason: v1alpha1.ReasonAWSError, RetryAfter: lookAgain, Message: "RequestLimitExceeded: Request limit exceeded."},
		},
		"throttled for a moment": {
			reason: "the SDK tries again by itself",
			make: func(_ *testing.T, w *awsWorld) string {
				w.Inject(fakeaws.Fault{Action: "DescribeSnapshots", Kind: fakeaws.Throttle, Times: 2})
				return w.AddSnapshot(fakeaws.Snapshot{})
			},
			want: binding.Snapshot{SizeGiB: 1},
		},
		"an outage of KMS": {
			reason: "only time helps",
			make: func(t *testing.T, w *awsWorld) string {
				w.Inject(fakeaws.Fault{Action: "DescribeKey", Kind: fakeaws.ServerError})
				return encrypted(fakeaws.KeyEnabled)(t, w)
			},
			problem: binding.Problem{Reason: v1alpha1.ReasonAWSError, RetryAfter: lookAgain, Message: "describing KMS key " + ownKey + " of snapshot snap-"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newAWSWorld(t, tc.options)
			w.source.Owners = tc.owners
			id := tc.make(t, w)
			w.publish(id)
			got, problem, err := w.source.Wanted(t.Context(), byParameter())
			if err != nil {
				t.Fatal(err)
			}
			if problem != nil {
				if tc.problem.Reason == "" {
					t.Fatalf("%s: %v", tc.reason, problem)
				}
				checkProblem(t, tc.reason, tc.problem, problem)
				return
			}
			tc.want.ID = id
			if diff := cmp.Diff(tc.want, got); diff != "" || tc.problem.Reason != "" {
				t.Errorf("%s: want the problem %q (-want +got):\n%s", tc.reason, tc.problem.Reason, diff)
			}
		})
	}
}

func pendingCopy(t *testing.T, w *awsWorld) string {
	source := w.AddSnapshot(fakeaws.Snapshot{})
	id, err := ebs.New(w.Config(), ebs.Options{}).Copy(t.Context(), ebs.CopyInput{SourceRegion: sourceRegion, SourceID: source})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestASnapshotHealsByItself: whatever a person mends is seen within 30 seconds.
func TestASnapshotHealsByItself(t *testing.T) {
	w := newAWSWorld(t, fakeaws.Options{})
	id := w.AddSnapshot(fakeaws.Snapshot{Archived: true})
	if _, problem, err := w.source.Wanted(t.Context(), byID(id)); problem == nil || err != nil {
		t.Fatal(problem, err)
	}
	w.Archive(id, false)
	w.clock.SetTime(w.clock.Now().Add(30 * time.Second))
	if got, problem, err := w.source.Wanted(t.Context(), byID(id)); problem != nil || err != nil || got.ID != id {
		t.Errorf("after its restore: got %+v, %v, %v", got, problem, err)
	}
}
