package targets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/larder-dev/larder/test/fakeaws/estate"
)

// begin has a team's account, its namespace, and snapshots that nothing uses yet.
func (s *Story) begin(ctx context.Context) error {
	s.Say("What a team has in AWS: a node group, an Auto Scaling group on $Default and one on a number, a Batch environment, and an\nECS service. Their data volumes are empty:")
	var err error
	if s.estate, err = estate.New(ctx, s.Stack.AWS); err != nil {
		return err
	}
	if s.original, err = s.estate.Consumers(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.showConsumers(ctx), s.Show(ctx, "create", "namespace", namespace)); err != nil {
		return err
	}
	s.Say("What to cache: images as Bottlerocket's nodes keep them, and files for tasks, jobs and pods:")
	if err := s.publish(ctx, 1, images...); err != nil {
		return err
	}
	return s.Show(ctx, "get", "ics")
}

// publish has revisions of ImageCacheSnapshots made, which are the good ones from then on.
func (s *Story) publish(ctx context.Context, number int64, names ...string) error {
	manifest, err := s.release(ctx, number, names...)
	if err != nil {
		return err
	}
	if err := s.apply(ctx, fmt.Sprintf("images-%d.yaml", number), manifest); err != nil {
		return err
	}
	for _, name := range names {
		if s.good[name], err = s.revision(ctx, name, number); err != nil {
			return err
		}
	}
	return nil
}

// bind has all of them boot, run or mount what is cached.
func (s *Story) bind(ctx context.Context) error {
	s.Say("One binding for each:")
	var manifests []string
	for _, one := range bindings {
		manifests = append(manifests, one.manifest())
	}
	if err := s.apply(ctx, "bindings.yaml", strings.Join(manifests, "---\n")); err != nil {
		return err
	}
	if err := s.launchByDefault(ctx); err != nil {
		return err
	}
	s.Say("AWS replaces nodes and tasks, and Larder looks again every half a minute:")
	if err := s.untilAllServed(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.showConsumers(ctx), s.showBindings(ctx), s.showVolumes(ctx)); err != nil {
		return err
	}
	return errors.Join(s.expectPinned(), s.expectRefreshed(ctx))
}

// launchByDefault has the group without an instance refresh launch an instance more, which is how it comes by one with the
// newest snapshot.
func (s *Story) launchByDefault(ctx context.Context) error {
	if err := s.untilApplied(ctx, estate.DefaultGroup, s.good[inference]); err != nil {
		return err
	}
	return s.estate.ScaleUp(ctx, estate.DefaultGroup)
}

// expectPinned fails unless EKS was told to stay at the AMI and at Kubernetes' version that the nodes have.
func (s *Story) expectPinned() error {
	s.Say("The node group keeps its AMI and its version of Kubernetes, though there are newer ones:")
	updates := s.Stack.AWS.NodeGroupUpdates(estate.Cluster, estate.NodeGroup)
	group, _ := s.Stack.AWS.NodeGroup(estate.Cluster, estate.NodeGroup)
	for _, update := range updates {
		fmt.Fprintf(s.Out, "update to version %s: Kubernetes %s, release %s, %s\n", update.TemplateVersion, update.KubernetesVersion, update.ReleaseVersion, update.Status)
		if update.KubernetesVersion != group.Version || update.ReleaseVersion != group.ReleaseVersion || group.ReleaseVersion == group.LatestReleaseVersion {
			return fmt.Errorf("EKS was asked for Kubernetes %q and release %q, want those that the group has, %s and %s",
				update.KubernetesVersion, update.ReleaseVersion, group.Version, group.ReleaseVersion)
		}
	}
	if len(updates) != 1 {
		return fmt.Errorf("EKS was asked for %d updates, want one", len(updates))
	}
	return nil
}

// expectRefreshed fails unless Auto Scaling replaced the instances of the one group and left those of the other.
func (s *Story) expectRefreshed(ctx context.Context) error {
	for group, want := range map[string]string{estate.NumberedGroup: "2 2", estate.DefaultGroup: "1 1 2"} {
		versions, err := s.estate.InstanceVersions(ctx, group)
		if err != nil {
			return err
		}
		if got := strings.Join(versions, " "); got != want {
			return fmt.Errorf("the instances of Auto Scaling group %s were launched with versions %s, want %s", group, got, want)
		}
	}
	return nil
}

func (s *Story) showVolumes(ctx context.Context) error {
	return errors.Join(
		s.Show(ctx, "get", "volumesnapshots", "--namespace", namespace, "--output", "custom-columns=NAME:.metadata.name,READY:.status.readyToUse,CONTENT:.status.boundVolumeSnapshotContentName"),
		s.Show(ctx, "get", "volumesnapshotcontents", "--output", "custom-columns=SNAPSHOT:.spec.source.snapshotHandle,POLICY:.spec.deletionPolicy,READY:.status.readyToUse"))
}
