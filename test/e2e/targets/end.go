package targets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws/estate"
)

// end deletes everything of Larder's: what it wrote goes, after AWS has carried that out.
func (s *Story) end(ctx context.Context) error {
	s.Say("The bindings are deleted. Each goes when what it is for is as it was before:")
	if err := s.Show(ctx, "delete", "ncb", "--all", "--wait=false"); err != nil {
		return err
	}
	for _, one := range bindings {
		if err := s.untilGone(ctx, &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: one.name}}); err != nil {
			return err
		}
	}
	if err := s.showConsumers(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.expectOriginal(ctx), s.expectNoVolumes(ctx)); err != nil {
		return err
	}
	s.Say("All of it is launched as before, byte by byte, and no version of a launch template names a snapshot any more that nothing was launched with.")
	s.Say("Instances of a group without instance refresh still run on Larder's versions, so that their snapshots are kept. They go, and\nthen the snapshots, which nothing uses any more:")
	if err := s.estate.Empty(estate.DefaultGroup); err != nil {
		return err
	}
	if err := s.Show(ctx, append([]string{"delete", "ics", "--timeout=3m"}, images...)...); err != nil {
		return err
	}
	return s.Show(ctx, "get", "ics,ncb,volumesnapshots,volumesnapshotcontents", "--all-namespaces")
}

// expectOriginal fails unless all in AWS has the content that it had before, though by a newer version where it names one by
// its number.
func (s *Story) expectOriginal(ctx context.Context) error {
	all, err := s.estate.Consumers(ctx)
	if err != nil {
		return err
	}
	for i, one := range all {
		if before := s.original[i]; one.Content != before.Content {
			return fmt.Errorf("%s launches\n%s\nwant\n%s", one.Name, one.Content, before.Content)
		}
	}
	defaults := map[string]string{}
	for i, one := range all {
		if one.Says != s.original[i].Says {
			defaults[one.Name] = one.Says
		}
	}
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if name == estate.DefaultGroup {
			return fmt.Errorf("group %s launches by version %s, want $Default", name, defaults[name])
		}
	}
	left, err := s.estate.SnapshotsLeft(ctx)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("versions of launch templates that nothing launches still name %v", left)
	}
	return err
}

// expectNoVolumes fails unless the VolumeSnapshot and all contents are gone.
func (s *Story) expectNoVolumes(ctx context.Context) error {
	if err := s.untilGone(ctx, &snapshotv1.VolumeSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: weights}}); err != nil {
		return err
	}
	contents, err := s.contents(ctx)
	if err == nil && len(contents) > 0 {
		err = fmt.Errorf("%d VolumeSnapshotContents are left", len(contents))
	}
	return err
}
