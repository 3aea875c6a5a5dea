package distribution

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/kms"
)

const (
	alice = "111122223333"
	bob   = "444455556666"
	carol = "777788889999"
)

func sharedWith(accounts ...larderv1alpha1.AccountID) func(*larderv1alpha1.ImageCacheSnapshotSpec) {
	return func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.SharedWith = accounts }
}

func (s *cloudSnapshot) accounts() []string { return slices.Sorted(maps.Keys(s.shared)) }

func TestExactlyTheseAccountsShare(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{SharedWith: []larderv1alpha1.AccountID{alice, bob}})
	w.current.shared[carol] = true // somebody's doing
	w.settle()
	if diff := cmp.Diff([]string{alice, bob}, w.current.accounts()); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	w.build(2)
	w.edit(sharedWith(bob, carol))
	w.settle()
	if diff := cmp.Diff([]string{bob, carol}, w.current.accounts()); diff != "" {
		t.Errorf("accounts of the new revision (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{bob}, w.superseded[0].accounts()); diff != "" {
		t.Errorf("the superseded one loses who left, and gets nobody (-want +got):\n%s", diff)
	}
	w.edit(sharedWith())
	object := w.settle()
	if left := append(w.current.accounts(), w.superseded[0].accounts()...); len(left) > 0 {
		t.Errorf("still shared with %v", left)
	}
	if meta.FindStatusCondition(object.Status.Conditions, larderv1alpha1.ConditionShared) != nil {
		t.Error("the condition stays though the spec asks for nothing")
	}
}

func TestTheDefaultKeyIsRefusedEarly(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{SharedWith: []larderv1alpha1.AccountID{alice}})
	w.current.Encrypted, w.current.KMSKeyID = true, "arn:aws:kms:eu-central-1:111122223333:key/default"
	w.cloud.keys[w.current.KMSKeyID] = kms.Key{Enabled: true, AWSManaged: true}
	w.mustPass()
	condition := w.condition(larderv1alpha1.ConditionShared)
	if condition.Reason != larderv1alpha1.ReasonDefaultKeyNotShared || !strings.Contains(condition.Message, "spec.encryption.kmsKeyID") {
		t.Errorf("want a reason and what to do, got %+v", condition)
	}
	if w.cloud.writes["Share"] > 0 {
		t.Error("AWS was asked nevertheless")
	}
	w.cloud.keys[w.current.KMSKeyID] = kms.Key{Enabled: true}
	w.mustPass()
	if got := w.current.accounts(); !slices.Equal(got, []string{alice}) {
		t.Errorf("a key of the account's own may be shared, got %v", got)
	}
}

func TestARefusedAccountIsNamed(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{SharedWith: []larderv1alpha1.AccountID{alice, bob, carol}})
	w.cloud.refused[bob] = true
	w.mustPass()
	if diff := cmp.Diff([]string{alice, carol}, w.current.accounts()); diff != "" {
		t.Errorf("the others share it (-want +got):\n%s", diff)
	}
	if got := w.condition(larderv1alpha1.ConditionShared); !strings.Contains(got.Message, bob) || strings.Contains(got.Message, alice) {
		t.Errorf("want only the refused account named, got %q", got.Message)
	}
	if len(w.outcome.Problems) != 1 || !w.outcome.Problems[0].NeedsPerson {
		t.Errorf("the problems are %+v", w.outcome.Problems)
	}
}
