package story

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
)

// nodes are those of the pool.
const nodes = 3

const withNextDrift = "    strategy: WithNextDrift\n    rollback: {after: 1m}\n"

// begin has a pool with nodes that pull their images, and a snapshot of them.
func (s *Story) begin(ctx context.Context) error {
	s.Say("A cluster with Karpenter. An EC2NodeClass and a NodePool as a team might have them, and three nodes:")
	s.releaseAMI()
	if err := errors.Join(s.apply(ctx, "ec2nodeclass.yaml", e2e.NodeClass), s.apply(ctx, "nodepool.yaml", nodePool(e2e.ClassName))); err != nil {
		return err
	}
	if err := s.karpenter.Settle(ctx); err != nil {
		return err
	}
	for range nodes {
		if err := s.scaleUp(ctx, e2e.ClassName); err != nil {
			return err
		}
	}
	if err := s.showNodes(ctx); err != nil {
		return err
	}
	var err error
	if s.original, err = s.specOf(ctx, e2e.ClassName); err != nil {
		return err
	}
	s.Say("What to cache:")
	if err := s.apply(ctx, "inference.yaml", imageCacheSnapshot(s.Stack.Images[:1])); err != nil {
		return err
	}
	s.first, err = s.revision(ctx, 1)
	return err
}

// scaleUp has a NodePool get a node more, which comes up.
func (s *Story) scaleUp(ctx context.Context, pool string) error {
	claim, err := s.karpenter.Launch(ctx, pool)
	if err != nil {
		return err
	}
	return s.karpenter.Ready(ctx, claim)
}

// releaseAMI has the alias of the classes mean other AMIs.
func (s *Story) releaseAMI() {
	s.releases++
	s.karpenter.SetAMIs(ami, map[string]string{
		"amd64": fmt.Sprintf("ami-%017x", 0xa0+s.releases), "arm64": fmt.Sprintf("ami-%017x", 0xb0+s.releases),
	})
}

// specOf returns a class's spec as the API server prints it.
func (s *Story) specOf(ctx context.Context, class string) (string, error) {
	return s.Stack.Kubectl(ctx, "get", "ec2nodeclass", class, "--output", "jsonpath={.spec}")
}

// revision waits for a revision of the snapshot, and returns its id.
func (s *Story) revision(ctx context.Context, number int64) (string, error) {
	object := &v1alpha1.ImageCacheSnapshot{}
	err := s.until(ctx, fmt.Sprintf("revision %d of ImageCacheSnapshot %s is Ready", number, e2e.SnapshotName), patience, func() (bool, error) {
		err := s.Stack.Admin.Get(ctx, client.ObjectKey{Name: e2e.SnapshotName}, object)
		return object.Status.Revision == number && meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady), err
	})
	if err != nil {
		return "", err
	}
	return object.Status.SnapshotID, s.Show(ctx, "get", "ics")
}

// preview binds the pool: nothing is written, and the binding says what would happen.
func (s *Story) preview(ctx context.Context) error {
	s.Say("The nodes shall boot with it, but Larder shall replace none of them: it waits until they are replaced anyway.")
	if err := s.apply(ctx, "binding.yaml", binding(e2e.BindingName, ref, inGPU, withNextDrift)); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, e2e.BindingName, "3 NodeClaims of NodePool gpu would be replaced", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.Pending != nil && b.Status.Pending.SnapshotID == s.first && b.Status.Pending.NodesThatWouldBeReplaced == nodes &&
			len(b.Status.Pending.NodePools) == 1 && b.Status.Pending.NodePools[0].Name == "gpu" &&
			e2e.Says(b, v1alpha1.ConditionApplied, v1alpha1.ReasonWaitingForDrift)
	}); err != nil {
		return err
	}
	s.Say("It says what it would do, and nothing is written:")
	if err := s.showBinding(ctx, e2e.BindingName, "pending"); err != nil {
		return err
	}
	return errors.Join(s.expectSpec(ctx, e2e.ClassName, s.original), s.showDevices(ctx, e2e.ClassName))
}

// nextDrift has a new AMI drift the nodes: the snapshot goes with it.
func (s *Story) nextDrift(ctx context.Context) error {
	s.Say("There is a new AMI. Karpenter marks the nodes as drifted, and so Larder writes the snapshot now:")
	s.releaseAMI()
	if err := s.untilBinding(ctx, e2e.BindingName, "written, and no node has it yet", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.AppliedSnapshotID == s.first && hasNodes(b, 0, nodes)
	}); err != nil {
		return err
	}
	if err := errors.Join(s.showNodes(ctx), s.showBinding(ctx, e2e.BindingName, "nodes"), s.showDevices(ctx, e2e.ClassName)); err != nil {
		return err
	}
	s.Say("Karpenter replaces them as the NodePool's budget allows, once for both:")
	if err := s.replaceDrifted(ctx); err != nil {
		return err
	}
	if err := s.untilBinding(ctx, e2e.BindingName, "all nodes have it", patience, func(b *v1alpha1.NodeClassBinding) bool {
		return hasNodes(b, nodes, 0) && e2e.IsReady(b) && e2e.Says(b, v1alpha1.ConditionRolledOut, v1alpha1.ReasonNodesCurrent)
	}); err != nil {
		return err
	}
	return errors.Join(s.showNodes(ctx), s.showBinding(ctx, e2e.BindingName, "nodes"))
}

func hasNodes(b *v1alpha1.NodeClassBinding, current, outdated int32) bool {
	return b.Status.Nodes != nil && b.Status.Nodes.Current == current && b.Status.Nodes.Outdated == outdated
}

// replaceDrifted lets Karpenter replace what drifted; every new node comes up.
func (s *Story) replaceDrifted(ctx context.Context) error {
	return s.until(ctx, "every drifted node is replaced", patience, func() (bool, error) {
		round, err := s.karpenter.Disrupt(ctx)
		if err != nil {
			return false, err
		}
		for _, one := range round.Started {
			fmt.Fprintf(s.Out, "Karpenter launches %s to replace %s\n", one.New, one.Old)
			if err := s.karpenter.Ready(ctx, one.New); err != nil {
				return false, err
			}
		}
		claims, err := s.claims(ctx)
		return drifted(claims) == 0 && len(round.Started) == 0 && len(claims) == nodes, err
	})
}
