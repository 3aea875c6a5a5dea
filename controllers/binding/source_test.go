package binding_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
)

const (
	ownAccount   = "111122223333"
	otherAccount = "444455556666"
	sourceRegion = "us-west-2"
	firstID      = "snap-0000000000000aaaa"
	secondID     = "snap-0000000000000bbbb"
	interval     = 10 * time.Minute
)

// cloud is what AWS would say, and how often it was asked.
type cloud struct {
	snapshots map[string]ebs.Snapshot
	restores  []ebs.FastRestore
	keys      map[string]kms.Key
	grantees  []string
	values    map[string]string
	// fails answers calls by their names.
	fails map[string]error
	calls map[string]int
}

func (c *cloud) call(name string) error {
	c.calls[name]++
	return c.fails[name]
}

func notThere(what string) error {
	return fmt.Errorf("looking for %s: %w", what, &smithy.GenericAPIError{Code: "NotFoundException", Message: what + " does not exist"})
}

type cloudSnapshots struct{ *cloud }

func (c cloudSnapshots) Describe(_ context.Context, id string) (ebs.Snapshot, error) {
	if err := c.call("Describe"); err != nil {
		return ebs.Snapshot{}, err
	}
	found, ok := c.snapshots[id]
	if !ok {
		return ebs.Snapshot{}, notThere(id)
	}
	return found, nil
}

func (c cloudSnapshots) FastRestores(context.Context, []string) ([]ebs.FastRestore, error) {
	return c.restores, c.call("FastRestores")
}

type cloudKeys struct{ *cloud }

func (c cloudKeys) Describe(_ context.Context, id string) (kms.Key, error) {
	if err := c.call("DescribeKey"); err != nil {
		return kms.Key{}, err
	}
	found, ok := c.keys[id]
	if !ok {
		return kms.Key{}, notThere(id)
	}
	return found, nil
}

func (c cloudKeys) Grantees(context.Context, string) ([]string, error) {
	return c.grantees, c.call("Grantees")
}

type cloudParameters struct{ *cloud }

func (c cloudParameters) Value(_ context.Context, name string) (string, error) {
	if err := c.call("Value"); err != nil {
		return "", err
	}
	found, ok := c.values[name]
	if !ok {
		return "", notThere(name)
	}
	return found, nil
}

// sourceWorld is a SnapshotSource over AWS and a cluster in memory.
type sourceWorld struct {
	*cloud
	source *binding.SnapshotSource
	client client.Client
	clock  *testingclock.FakePassiveClock
}

func newSourceWorld(t *testing.T, objects ...client.Object) *sourceWorld {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &sourceWorld{
		cloud: &cloud{snapshots: map[string]ebs.Snapshot{}, keys: map[string]kms.Key{}, values: map[string]string{},
			fails: map[string]error{}, calls: map[string]int{}},
		client: fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ImageCacheSnapshot{}).WithObjects(objects...).Build(),
		clock:  testingclock.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	w.source = &binding.SnapshotSource{
		Client: w.client, Snapshots: cloudSnapshots{w.cloud}, Keys: cloudKeys{w.cloud}, Parameters: cloudParameters{w.cloud},
		Account: func(context.Context) (string, error) { return ownAccount, w.call("Account") },
		Region:  sourceRegion, Clock: w.clock,
	}
	w.snapshots[firstID] = completedSnapshot(firstID)
	w.snapshots[secondID] = completedSnapshot(secondID)
	return w
}

func completedSnapshot(id string) ebs.Snapshot {
	return ebs.Snapshot{ID: id, State: ebs.StateCompleted, Progress: "100%", VolumeSize: 20, OwnerID: ownAccount}
}

func (w *sourceWorld) after(passed time.Duration) { w.clock.SetTime(w.clock.Now().Add(passed)) }

func bindingTo(from v1alpha1.SnapshotSource) *v1alpha1.NodeClassBinding {
	from.Interval = metav1.Duration{Duration: interval}
	b := &v1alpha1.NodeClassBinding{}
	b.Name, b.UID, b.Generation, b.Spec.Snapshot = "b", types.UID("uid-b"), 1, from
	return b
}

func byID(id string) *v1alpha1.NodeClassBinding {
	return bindingTo(v1alpha1.SnapshotSource{ID: id})
}

func byParameter() *v1alpha1.NodeClassBinding {
	return bindingTo(v1alpha1.SnapshotSource{SSMParameter: "/larder/inference"})
}

func byReference() *v1alpha1.NodeClassBinding {
	return bindingTo(v1alpha1.SnapshotSource{Ref: &v1alpha1.SnapshotReference{Name: "inference"}})
}

// imageCache has firstID before and secondID now.
func imageCache(edit func(*v1alpha1.ImageCacheSnapshot)) *v1alpha1.ImageCacheSnapshot {
	size := resource.MustParse("20Gi")
	object := &v1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "inference"}}
	object.Spec.Platforms = []v1alpha1.Platform{"linux/amd64", "linux/arm64"}
	object.Status = v1alpha1.ImageCacheSnapshotStatus{
		Region: sourceRegion, SnapshotID: secondID, VolumeSize: &size, Format: v1alpha1.FormatBottlerocket,
		Images: []v1alpha1.ImageStatus{
			{Image: "a", Digest: "sha256:a", Platforms: []string{"linux/arm64", "linux/amd64"}},
			{Image: "b", Digest: "sha256:b", Platforms: []string{"linux/arm64"}},
		},
		Revisions: []v1alpha1.RevisionStatus{
			{Number: 2, SnapshotID: secondID, State: v1alpha1.RevisionCurrent, Transfer: v1alpha1.Transfer{StoredBytes: 2 << 30}},
			{Number: 1, SnapshotID: firstID, State: v1alpha1.RevisionSuperseded, Transfer: v1alpha1.Transfer{StoredBytes: 1 << 30}},
		},
	}
	if edit != nil {
		edit(object)
	}
	return object
}

func TestSnapshotOfAReference(t *testing.T) {
	both := []string{"linux/amd64", "linux/arm64"}
	cases := map[string]struct {
		reason string
		edit   func(*v1alpha1.ImageCacheSnapshot)
		aws    func(*sourceWorld)
		want   binding.Snapshot
	}{
		"all is known": {
			reason: "the object knows what it made",
			want:   binding.Snapshot{ID: secondID, Format: v1alpha1.FormatBottlerocket, SizeGiB: 20, StoredBytes: 2 << 30, Platforms: both},
		},
		"a renewal that is under way": {
			reason: "yesterday's images are better than none",
			edit: func(o *v1alpha1.ImageCacheSnapshot) {
				o.Status.Build = &v1alpha1.BuildStatus{Revision: 3, Attempt: 1, Step: v1alpha1.BuildWriting, SnapshotID: "snap-0000000000000cccc"}
			},
			want: binding.Snapshot{ID: secondID, Format: v1alpha1.FormatBottlerocket, SizeGiB: 20, StoredBytes: 2 << 30, Platforms: both},
		},
		"images without platforms": {
			reason: "then what the spec asks for was made",
			edit: func(o *v1alpha1.ImageCacheSnapshot) {
				o.Status.Images = nil
				o.Spec.Platforms = []v1alpha1.Platform{"linux/arm64"}
			},
			want: binding.Snapshot{ID: secondID, Format: v1alpha1.FormatBottlerocket, SizeGiB: 20, StoredBytes: 2 << 30, Platforms: []string{"linux/arm64"}},
		},
		"a status that a restart left poor": {
			reason: "the tags know what the status does not",
			edit: func(o *v1alpha1.ImageCacheSnapshot) {
				o.Status.Revisions, o.Status.Format = nil, ""
			},
			aws: func(w *sourceWorld) {
				one := completedSnapshot(secondID)
				one.Tags = ebs.Contents{Format: "Containerd", StoredBytes: 7}.Tags()
				w.snapshots[secondID] = one
			},
			want: binding.Snapshot{ID: secondID, Format: v1alpha1.FormatContainerd, SizeGiB: 20, StoredBytes: 7, Platforms: both},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newSourceWorld(t, imageCache(tc.edit))
			if tc.aws != nil {
				tc.aws(w)
			}
			got, problem, err := w.source.Wanted(t.Context(), byReference())
			if problem != nil || err != nil {
				t.Fatalf("%s: %v, %v", tc.reason, problem, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSnapshotByItsID(t *testing.T) {
	w := newSourceWorld(t, imageCache(nil))
	tagged := completedSnapshot(firstID)
	tagged.Tags = map[string]string{ebs.TagFormat: "Containerd", ebs.TagPlatforms: "linux/arm64", ebs.TagStoredBytes: "5"}
	w.snapshots[firstID] = tagged
	cases := map[string]struct {
		reason  string
		binding *v1alpha1.NodeClassBinding
		id      string
		want    binding.Snapshot
	}{
		"the current revision": {"the object knows all of it", byReference(), secondID,
			binding.Snapshot{ID: secondID, Format: v1alpha1.FormatBottlerocket, SizeGiB: 20, StoredBytes: 2 << 30, Platforms: []string{"linux/amd64", "linux/arm64"}}},
		"the revision before": {"the object knows its bytes, its tags the rest", byReference(), firstID,
			binding.Snapshot{ID: firstID, Format: v1alpha1.FormatContainerd, SizeGiB: 20, StoredBytes: 1 << 30, Platforms: []string{"linux/arm64"}}},
		"of another origin": {"its tags are all that there is", byParameter(), firstID,
			binding.Snapshot{ID: firstID, Format: v1alpha1.FormatContainerd, SizeGiB: 20, StoredBytes: 5, Platforms: []string{"linux/arm64"}}},
		"without tags": {"what is not known is not made up", byID(firstID), secondID, binding.Snapshot{ID: secondID, SizeGiB: 20}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, problem, err := w.source.ByID(t.Context(), tc.binding, tc.id)
			if problem != nil || err != nil {
				t.Fatal(problem, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestNoSnapshotToBootWith(t *testing.T) {
	deleted := metav1.Time{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	cases := map[string]struct {
		reason  string
		binding *v1alpha1.NodeClassBinding
		object  *v1alpha1.ImageCacheSnapshot
		aws     func(*sourceWorld)
		// known is the id that is known all the same.
		known string
		want  binding.Problem
	}{
		"no such object": {
			reason: "it may come later", binding: byReference(),
			want: binding.Problem{Reason: v1alpha1.ReasonSnapshotMissing, Message: "ImageCacheSnapshot inference does not exist"},
		},
		"no completed snapshot": {
			reason: "the object's own controller is at it", binding: byReference(),
			object: imageCache(func(o *v1alpha1.ImageCacheSnapshot) { o.Status = v1alpha1.ImageCacheSnapshotStatus{} }),
			want:   binding.Problem{Reason: v1alpha1.ReasonSnapshotNotReady, Message: "its own conditions say how far it is"},
		},
		"an object that is being deleted": {
			reason: "EBS will soon not know its snapshot", binding: byReference(),
			object: imageCache(func(o *v1alpha1.ImageCacheSnapshot) {
				o.DeletionTimestamp, o.Finalizers = &deleted, []string{"larder.dev/snapshot"}
			}),
			known: secondID,
			want:  binding.Problem{Reason: v1alpha1.ReasonSnapshotNotReady, Message: "is being deleted, and waits for this binding"},
		},
		"an object of another Region": {
			reason: "no node here boots with it", binding: byReference(),
			object: imageCache(func(o *v1alpha1.ImageCacheSnapshot) { o.Status.Region = "eu-west-1" }),
			known:  secondID,
			want:   binding.Problem{Reason: v1alpha1.ReasonSnapshotInOtherRegion, Message: "in eu-west-1, and this operator works in us-west-2", Stalled: true},
		},
		"an object whose snapshot was deleted by hand": {
			reason: "its controller makes another", binding: byReference(), object: imageCache(nil),
			aws:   func(w *sourceWorld) { delete(w.snapshots, secondID) },
			known: secondID,
			want:  binding.Problem{Reason: v1alpha1.ReasonSnapshotNotFound, Message: "another is made", RetryAfter: 30 * time.Second},
		},
		"no parameter": {
			reason: "somebody may publish it later", binding: byParameter(),
			want: binding.Problem{Reason: v1alpha1.ReasonParameterNotFound, Message: "SSM parameter /larder/inference does not exist in us-west-2", RetryAfter: 30 * time.Second},
		},
		"a parameter with something else": {
			reason: "only its owner can mend it", binding: byParameter(),
			aws:  func(w *sourceWorld) { w.values["/larder/inference"] = "hunter2-is-ä-secret" },
			want: binding.Problem{Reason: v1alpha1.ReasonParameterInvalid, Message: "has a value of 19 characters that is no snapshot's id", Stalled: true, RetryAfter: 30 * time.Second},
		},
		"a parameter with two snapshots": {
			reason: "which of them would be anybody's guess", binding: byParameter(),
			aws:  func(w *sourceWorld) { w.values["/larder/inference"] = firstID + "," + secondID },
			want: binding.Problem{Reason: v1alpha1.ReasonParameterInvalid, Message: "no snapshot's id", Stalled: true, RetryAfter: 30 * time.Second},
		},
		"a parameter that we may not read": {
			reason: "a role must be mended", binding: byParameter(),
			aws:  func(w *sourceWorld) { w.fails["Value"] = apiError("AccessDeniedException") },
			want: binding.Problem{Reason: v1alpha1.ReasonAccessDenied, Message: "reading SSM parameter /larder/inference in us-west-2: AccessDeniedException: no", Stalled: true, RetryAfter: 30 * time.Second},
		},
		"AWS is overloaded": {
			reason: "nodes boot fine meanwhile, and nobody has to act", binding: byID(firstID),
			aws:   func(w *sourceWorld) { w.fails["Describe"] = apiError("RequestLimitExceeded") },
			known: firstID,
			want:  binding.Problem{Reason: v1alpha1.ReasonAWSError, Message: "describing snapshot snap-0000000000000aaaa in us-west-2: RequestLimitExceeded", RetryAfter: 30 * time.Second},
		},
		"AWS is out of reach": {
			reason: "the same", binding: byID(firstID),
			aws:   func(w *sourceWorld) { w.fails["Describe"] = errors.New("dial tcp: i/o timeout") },
			known: firstID,
			want:  binding.Problem{Reason: v1alpha1.ReasonAWSError, Message: "i/o timeout", RetryAfter: 30 * time.Second},
		},
		"nobody knows our account": {
			reason: "whether the owner is allowed cannot be told", binding: byID(firstID),
			aws:   func(w *sourceWorld) { w.fails["Account"] = apiError("ServiceUnavailable") },
			known: firstID,
			want:  binding.Problem{Reason: v1alpha1.ReasonAWSError, Message: "asking whose account this is", RetryAfter: 30 * time.Second},
		},
		"fast restores are throttled": {
			reason: "whether the rate is ignored cannot be told yet", binding: byID(firstID),
			aws:   func(w *sourceWorld) { w.fails["FastRestores"] = apiError("RequestLimitExceeded") },
			known: firstID,
			want:  binding.Problem{Reason: v1alpha1.ReasonAWSError, Message: "fast restores of snapshot", RetryAfter: 30 * time.Second},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newSourceWorld(t)
			if tc.object != nil {
				w = newSourceWorld(t, tc.object)
			}
			if tc.aws != nil {
				tc.aws(w)
			}
			got, problem, err := w.source.Wanted(t.Context(), tc.binding)
			if problem == nil || err != nil {
				t.Fatalf("%s: got %+v, %v, %v", tc.reason, got, problem, err)
			}
			if got.ID != tc.known {
				t.Errorf("%s: of the snapshot %q is known, want %q", tc.reason, got.ID, tc.known)
			}
			checkProblem(t, tc.reason, tc.want, problem)
			if strings.Contains(problem.Message, "hunter2") {
				t.Errorf("the message shows what may be a secret: %s", problem.Message)
			}
		})
	}
}

// checkProblem compares all but the cause; the message has to contain the wanted one.
func checkProblem(t *testing.T, reason string, want binding.Problem, got *binding.Problem) {
	t.Helper()
	if !strings.Contains(got.Message, want.Message) {
		t.Errorf("%s: the message does not say %q:\n%s", reason, want.Message, got.Message)
	}
	if strings.Contains(got.Message, "RequestID") {
		t.Errorf("%s: the message has a request's id, so that it changes at each look:\n%s", reason, got.Message)
	}
	shown := *got
	shown.Message, shown.Cause = want.Message, nil
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

func apiError(code string) error {
	return fmt.Errorf("calling: %w", &smithy.GenericAPIError{Code: code, Message: "no"})
}

func TestAParameterMayEndInANewline(t *testing.T) {
	w := newSourceWorld(t)
	w.values["/larder/inference"] = firstID + "\n"
	got, problem, err := w.source.Wanted(t.Context(), byParameter())
	if problem != nil || err != nil || got.ID != firstID {
		t.Errorf("got %+v, %v, %v, want %s", got, problem, err, firstID)
	}
}

// TestWhatCannotBeReadIsNoProblem: nodes have a role of their own, which may do what ours may not.
func TestWhatCannotBeReadIsNoProblem(t *testing.T) {
	const arn = "arn:aws:kms:us-west-2:111122223333:key/k"
	encrypted := completedSnapshot(firstID)
	encrypted.Encrypted, encrypted.KMSKeyID = true, arn
	plain := binding.Snapshot{ID: firstID, SizeGiB: 20, FastRestore: true, Key: &binding.Key{ARN: arn, Grantees: []string{"a"}}}
	for name, edit := range map[string]func(*binding.Snapshot){
		"Grantees":     func(s *binding.Snapshot) { s.Key.Grantees = nil },
		"DescribeKey":  func(s *binding.Snapshot) { s.Key.Grantees = nil },
		"FastRestores": func(s *binding.Snapshot) { s.FastRestore = false },
		"nothing":      func(*binding.Snapshot) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newSourceWorld(t)
			w.snapshots[firstID], w.grantees, w.keys[arn] = encrypted, []string{"a"}, kms.Key{ARN: arn, Enabled: true, State: "Enabled"}
			w.restores = []ebs.FastRestore{{SnapshotID: firstID, State: ebs.FastRestoreEnabling}}
			w.fails[name] = apiError("AccessDeniedException")
			want := plain
			key := *plain.Key
			want.Key = &key
			edit(&want)
			got, problem, err := w.source.Wanted(t.Context(), byID(firstID))
			if problem != nil || err != nil {
				t.Fatal(problem, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("snapshot (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsOfTheClusterAreRetried(t *testing.T) {
	w := newSourceWorld(t)
	trouble := errors.New("the server is in trouble")
	w.source.Client = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return trouble
		},
	})
	if _, problem, err := w.source.Wanted(t.Context(), byReference()); !errors.Is(err, trouble) || problem != nil {
		t.Errorf("Wanted: got %v, %v, want the error", problem, err)
	}
	if _, problem, err := w.source.ByID(t.Context(), byReference(), firstID); !errors.Is(err, trouble) || problem != nil {
		t.Errorf("ByID: got %v, %v, want the error", problem, err)
	}
}

func TestACancelledPassLearnsNothing(t *testing.T) {
	w := newSourceWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.fails["Describe"] = context.Canceled
	if _, problem, err := w.source.Wanted(ctx, byID(firstID)); !errors.Is(err, context.Canceled) || problem != nil {
		t.Errorf("got %v, %v, want the cancellation", problem, err)
	}
	delete(w.fails, "Describe")
	if got, problem, err := w.source.Wanted(t.Context(), byID(firstID)); problem != nil || err != nil || got.ID != firstID {
		t.Errorf("the next pass: got %+v, %v, %v", got, problem, err)
	}
}
