package binding

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// available asks AWS about a snapshot, and says why nodes cannot boot with it, if they cannot.
func (s *SnapshotSource) available(ctx context.Context, id string) (Snapshot, *Problem) {
	found := Snapshot{ID: id}
	account, err := s.ownAccount(ctx)
	if err != nil {
		return found, s.refusal("asking whose account this is", err)
	}
	described, err := s.Snapshots.Describe(ctx, id)
	if aws.IsNotFound(err) {
		return found, &Problem{
			Reason:  v1alpha1.ReasonSnapshotNotFound,
			Stalled: true,
			Message: fmt.Sprintf("snapshot %s is not in Region %s: if it exists, it is in another Region or not shared with "+
				"account %s", id, s.Region, account),
		}
	}
	if err != nil {
		return found, s.refusal("describing snapshot "+id, err)
	}
	contents := ebs.ContentsOf(described.Tags)
	found.SizeGiB, found.StoredBytes = described.VolumeSize, contents.StoredBytes
	found.Format, found.Platforms = formatOf(contents), contents.Platforms
	if problem := s.unbootable(described, account); problem != nil {
		return found, problem
	}
	var problem *Problem
	if found.Key, problem = s.key(ctx, described); problem != nil {
		return found, problem
	}
	if described.OwnerID == account { // AWS tells of fast restores to the owner only
		found.FastRestore, problem = s.fastRestore(ctx, id)
	}
	return found, problem
}

// formatOf takes only a format that there is: anybody with access to the snapshot may have written the tag.
func formatOf(contents ebs.Contents) v1alpha1.Format {
	switch format := v1alpha1.Format(contents.Format); format {
	case v1alpha1.FormatBottlerocket, v1alpha1.FormatContainerd, v1alpha1.FormatFiles:
		return format
	default:
		return ""
	}
}

// unbootable says why EC2 would make no volume of a snapshot, or why none may be made of it.
func (s *SnapshotSource) unbootable(described ebs.Snapshot, account string) *Problem {
	id := described.ID
	switch {
	case described.OwnerID != account && !slices.Contains(s.Owners, described.OwnerID):
		return &Problem{
			Reason:  v1alpha1.ReasonOwnerNotAllowed,
			Stalled: true,
			Message: fmt.Sprintf("snapshot %s belongs to account %s, and nodes may boot only with snapshots of account %s%s: name "+
				"another, or have the operator allow that account with --allowed-snapshot-owners=%s",
				id, described.OwnerID, account, s.others(), described.OwnerID),
		}
	case described.Archived:
		return &Problem{
			Reason:  v1alpha1.ReasonSnapshotArchived,
			Stalled: true,
			Message: fmt.Sprintf("snapshot %s is archived, and no volume can be made of it: restore it with aws ec2 "+
				"restore-snapshot-tier --region %s --snapshot-id %s --permanent-restore, which takes up to 72 hours", id, s.Region, id),
		}
	case described.State == ebs.StateError:
		return &Problem{
			Reason:  v1alpha1.ReasonSnapshotFailed,
			Stalled: true,
			Message: message.Clip(fmt.Sprintf("AWS could not store snapshot %s: %s: name another", id,
				said(described.StateMessage)), message.Longest),
		}
	case described.State != ebs.StateCompleted:
		return &Problem{
			Reason:  v1alpha1.ReasonPending,
			Message: fmt.Sprintf("snapshot %s is %s (%s): it is looked at again", id, described.State, said(described.Progress)),
		}
	}
	return nil
}

func (s *SnapshotSource) others() string {
	if len(s.Owners) == 0 {
		return ""
	}
	return " and " + strings.Join(s.Owners, ", ")
}

func said(words string) string {
	if words == "" {
		return "AWS does not say more"
	}
	return words
}

// key returns the customer's key that a snapshot is encrypted with; nil for none, and for one of AWS's own. A key that
// we may not look at may well be one that nodes can use: then only its ARN is known.
func (s *SnapshotSource) key(ctx context.Context, described ebs.Snapshot) (*Key, *Problem) {
	if !described.Encrypted || described.KMSKeyID == "" {
		return nil, nil
	}
	doing := fmt.Sprintf("describing KMS key %s of snapshot %s", described.KMSKeyID, described.ID)
	key, err := s.Keys.Describe(ctx, described.KMSKeyID)
	switch {
	case aws.IsNotFound(err):
		return nil, &Problem{
			Reason:  v1alpha1.ReasonKMSKeyUnusable,
			Stalled: true,
			Message: fmt.Sprintf("snapshot %s is encrypted with KMS key %s, which does not exist: no volume can be made of it, so "+
				"name another", described.ID, described.KMSKeyID),
		}
	case isDenial(err):
		return &Key{ARN: described.KMSKeyID}, nil
	case err != nil:
		return nil, s.refusal(doing, err)
	case !key.Enabled:
		return nil, &Problem{
			Reason:  v1alpha1.ReasonKMSKeyUnusable,
			Stalled: true,
			Message: fmt.Sprintf("snapshot %s is encrypted with KMS key %s, which is %s, so that no node can read it: enable the "+
				"key, or name a snapshot with another", described.ID, key.ARN, key.State),
		}
	case key.AWSManaged:
		return nil, nil
	}
	grantees, err := s.Keys.Grantees(ctx, key.ARN)
	if isDenial(err) {
		return &Key{ARN: key.ARN}, nil
	}
	if err != nil {
		return nil, s.refusal("listing the grants of KMS key "+key.ARN, err)
	}
	return &Key{ARN: key.ARN, Grantees: grantees}, nil
}

// isDenial tells a missing permission from missing credentials, without which nothing can be known.
func isDenial(err error) bool {
	reason, _ := message.OfAWS(err)
	return reason == v1alpha1.ReasonAccessDenied
}

// fastRestore tells whether some zone has fast restores of a snapshot, or is about to. Who may not look at them has
// no use for them.
func (s *SnapshotSource) fastRestore(ctx context.Context, id string) (bool, *Problem) {
	restores, err := s.Snapshots.FastRestores(ctx, []string{id})
	if isDenial(err) {
		return false, nil
	}
	if err != nil {
		return false, s.refusal("describing the fast restores of snapshot "+id, err)
	}
	return slices.ContainsFunc(restores, func(one ebs.FastRestore) bool {
		return one.State != ebs.FastRestoreDisabling && one.State != ebs.FastRestoreDisabled
	}), nil
}

// refusal explains an error of a call to AWS. What nodes boot with now is not touched by it.
func (s *SnapshotSource) refusal(doing string, err error) *Problem {
	reason, needsPerson := message.OfAWS(err)
	return &Problem{
		Reason:  reason,
		Stalled: needsPerson,
		Message: message.Clip(fmt.Sprintf("%s in %s: %s", doing, s.Region, aws.Words(err)), message.Longest),
		Cause:   err,
	}
}

// ownAccount returns the id of the operator's account.
func (s *SnapshotSource) ownAccount(ctx context.Context) (string, error) {
	s.account.Lock()
	defer s.account.Unlock()
	if s.account.id != "" {
		return s.account.id, nil
	}
	id, err := s.Account(ctx)
	if err == nil {
		s.account.id = id
	}
	return id, err
}
