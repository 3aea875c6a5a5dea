package binding_test

import (
	"context"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// account is an AWS account with its snapshots. It implements binding.Snapshots.
type account struct {
	made map[string]*madeSnapshot
}

type madeSnapshot struct {
	gib   int64
	state string
	// refused tells that EC2 launches nothing with it, though its description looks well.
	refused bool
}

func (a account) Describe(_ context.Context, id string) (ebs.Snapshot, error) {
	found := a.made[id]
	if found == nil {
		return ebs.Snapshot{}, notThere(id)
	}
	described := completedSnapshot(id)
	described.VolumeSize, described.State = found.gib, found.state
	return described, nil
}

func (account) FastRestores(context.Context, []string) ([]ebs.FastRestore, error) { return nil, nil }

// launches tells whether EC2 takes a snapshot.
func (a account) launches(id string) bool {
	found := a.made[id]
	return found != nil && found.state == ebs.StateCompleted && !found.refused
}

var _ binding.Snapshots = account{}
