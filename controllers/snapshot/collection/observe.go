package collection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// observe lists snapshots first and objects last: what has no object then had none when it was found. unread says
// which Regions could not be read, all others could.
func (c *Collector) observe(ctx context.Context) (f *facts, unread, err error) {
	f = &facts{
		now: c.Clock.Now(), cluster: c.ClusterUID, home: c.Home,
		found: map[string][]ebs.Snapshot{}, looked: map[string]lookUp{},
		refused: c.refused, copiedTo: c.CopiedTo,
		exposedGrace: cmp.Or(c.ExposedGrace, DefaultExposedGrace),
		orphanGrace:  cmp.Or(c.OrphanGrace, DefaultOrphanGrace),
	}
	if err := c.find(ctx, f, c.Home); err != nil {
		return nil, nil, err
	}
	regions, err := c.regions(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	var problems []error
	for _, region := range regions {
		if err := c.find(ctx, f, region); err != nil {
			problems = append(problems, err)
		}
	}
	objects, err := c.objects(ctx)
	if err != nil {
		return nil, nil, err
	}
	f.living = map[types.UID]*larderv1alpha1.ImageCacheSnapshot{}
	for i := range objects {
		f.living[objects[i].UID] = &objects[i]
	}
	f.named = namedBy(objects)
	// After the objects, since an object is recorded before it goes.
	f.ledger, err = c.readLedger(ctx)
	return f, errors.Join(problems...), err
}

func (c *Collector) find(ctx context.Context, f *facts, region string) error {
	found, err := c.Regions(region).Snapshots.Find(ctx, map[string]string{ebs.TagClusterUID: string(c.ClusterUID)})
	if err != nil {
		return fmt.Errorf("listing this cluster's snapshots in %s: %w", region, err)
	}
	f.found[region] = found
	return nil
}

// regions returns all but the home Region in which there may be copies.
func (c *Collector) regions(ctx context.Context, f *facts) ([]string, error) {
	objects, err := c.objects(ctx)
	if err != nil {
		return nil, err
	}
	known, err := c.readLedger(ctx)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, object := range objects {
		for _, wanted := range object.Spec.Copies {
			named[wanted.Region] = true
		}
		for _, made := range object.Status.Copies {
			named[made.Region] = true
		}
	}
	for _, left := range known.retained {
		for _, region := range left.Regions {
			named[region] = true
		}
	}
	for _, snapshot := range f.found[c.Home] {
		for _, region := range c.CopiedTo(snapshot.Tags) {
			named[region] = true
		}
	}
	delete(named, c.Home)
	return slices.Sorted(maps.Keys(named)), nil
}

func (c *Collector) objects(ctx context.Context) ([]larderv1alpha1.ImageCacheSnapshot, error) {
	objects := &larderv1alpha1.ImageCacheSnapshotList{}
	if err := c.Live.List(ctx, objects); err != nil {
		return nil, fmt.Errorf("listing the ImageCacheSnapshots whose snapshots are not to be touched: %w", err)
	}
	return objects.Items, nil
}

// lookUp finds out who uses the snapshots that are due. A Region in which that fails stays unknown.
func (c *Collector) lookUp(ctx context.Context, f *facts, due map[string][]string) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(due)) {
		region := c.Regions(name)
		users, err := c.References.List(ctx, region.Consumers...)
		if err != nil {
			problems = append(problems, fmt.Errorf("looking for users of %d snapshots in %s: %w", len(due[name]), name, err))
			continue
		}
		restores, err := region.Snapshots.FastRestores(ctx, due[name])
		if err != nil {
			problems = append(problems, fmt.Errorf("looking for fast restores of %d snapshots in %s: %w", len(due[name]), name, err))
			continue
		}
		f.looked[name] = lookUp{users: users, restores: restores}
	}
	return errors.Join(problems...)
}
