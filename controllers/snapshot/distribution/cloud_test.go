package distribution

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"k8s.io/utils/clock"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/ssm"
)

const homeRegion = "eu-central-1"

// cloud stands in for AWS as far as this package sees it: copies that are listed late and take their time, calls
// without tokens that do their work as often as they are made, and answers that get lost.
type cloud struct {
	t     testing.TB
	clock clock.PassiveClock

	// hide is for how long a new copy is not listed, copying how long it takes, and step how long each state of a
	// fast restore lasts.
	hide, copying, step time.Duration
	// unlisted hides all copies from Find.
	unlisted bool
	// spoil tells whether a new copy ends in an error.
	spoil func(region string) bool
	// before may fail a call without an effect, and after may lose its answer; where is the Region it is about.
	before, after func(where, call string) error
	// check is told of each call that changes something, before it does.
	check func(where, call string, details ...string)

	mu        sync.Mutex
	made      int
	snapshots map[string]*cloudSnapshot
	disabled  map[string]bool // Regions
	keys      map[string]kms.Key
	refused   map[string]bool // accounts and zones
	params    map[string]ssm.Parameter
	reads     map[string]int
	writes    map[string]int
	lastLook  map[string]time.Time
}

type cloudSnapshot struct {
	ebs.Snapshot
	region             string
	staleTags          map[string]string // what is shown in place of the tags
	visibleAt, readyAt time.Time
	spoilt, forgotten  bool
	shared             map[string]bool
	restores           map[string]time.Time // by zone, since when
	restoresDisabledAt map[string]time.Time
}

func newCloud(t testing.TB, clock clock.PassiveClock) *cloud {
	return &cloud{
		t: t, clock: clock, copying: 4 * time.Minute, step: 5 * time.Minute,
		spoil:     func(string) bool { return false },
		before:    func(string, string) error { return nil },
		after:     func(string, string) error { return nil },
		check:     func(string, string, ...string) {},
		snapshots: map[string]*cloudSnapshot{},
		disabled:  map[string]bool{}, keys: map[string]kms.Key{}, refused: map[string]bool{},
		params: map[string]ssm.Parameter{},
		reads:  map[string]int{}, writes: map[string]int{}, lastLook: map[string]time.Time{},
	}
}

func awsError(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "AWS says " + code}
}

func unavailable() error {
	return &smithy.GenericAPIError{Code: "ServiceUnavailable", Message: "try later", Fault: smithy.FaultServer}
}

// read and write wrap the calls; write's effect is real even if the answer is lost.
func (c *cloud) read(where, call string, work func() error) error {
	if err := c.before(where, call); err != nil {
		return err
	}
	c.mu.Lock()
	c.reads[call]++
	err := work()
	c.mu.Unlock()
	return err
}

func (c *cloud) write(where, call string, work func() error, details ...string) error {
	if err := c.before(where, call); err != nil {
		return err
	}
	c.check(where, call, details...)
	c.mu.Lock()
	c.writes[call]++
	err := work()
	c.mu.Unlock()
	return cmp.Or(err, c.after(where, call))
}

func (c *cloud) forgetCalls() {
	clear(c.reads)
	clear(c.writes)
}

// add makes a completed snapshot that everybody sees.
func (c *cloud) add(region string, tags map[string]string) *cloudSnapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.make(region, tags)
}

func (c *cloud) make(region string, tags map[string]string) *cloudSnapshot {
	c.made++
	made := &cloudSnapshot{
		region: region,
		Snapshot: ebs.Snapshot{
			ID: fmt.Sprintf("snap-%04d", c.made), State: ebs.StateCompleted, Tags: maps.Clone(tags), VolumeSize: 20,
			StartTime: c.clock.Now().Add(time.Duration(c.made)), // the order is that of making
		},
		shared: map[string]bool{}, restores: map[string]time.Time{}, restoresDisabledAt: map[string]time.Time{},
	}
	c.snapshots[made.ID] = made
	return made
}

func (c *cloud) show(s *cloudSnapshot) ebs.Snapshot {
	if s.State == ebs.StatePending && !c.clock.Now().Before(s.readyAt) {
		s.State = ebs.StateCompleted
		if s.spoilt {
			s.State, s.StateMessage = ebs.StateError, "Given key ID is not accessible"
		}
	}
	shown := s.Snapshot
	shown.Tags = maps.Clone(s.Tags)
	if s.staleTags != nil {
		shown.Tags = maps.Clone(s.staleTags)
	}
	return shown
}

// copiesOf returns all copies in a Region, visible or not.
func (c *cloud) copiesOf(region, source string) []*cloudSnapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*cloudSnapshot
	for _, id := range slices.Sorted(maps.Keys(c.snapshots)) {
		if s := c.snapshots[id]; s.region == region && s.Tags[ebs.TagSourceID] == source {
			c.show(s)
			found = append(found, s)
		}
	}
	return found
}

func (c *cloud) Tag(_ context.Context, id string, tags map[string]string) error {
	return c.write("home", "Tag", func() error {
		maps.Copy(c.snapshots[id].Tags, tags)
		return nil
	})
}

func (c *cloud) SharedWith(_ context.Context, id string) (accounts []string, err error) {
	err = c.read("home", "SharedWith", func() error {
		accounts = slices.Sorted(maps.Keys(c.snapshots[id].shared))
		return nil
	})
	return accounts, err
}

func (c *cloud) Share(_ context.Context, id string, add, remove []string) error {
	return c.write("home", "Share", func() error {
		for _, account := range add {
			if c.refused[account] {
				return fmt.Errorf("sharing snapshot %s: %w", id, awsError("InvalidParameterValue"))
			}
		}
		for _, account := range add {
			c.snapshots[id].shared[account] = true
		}
		for _, account := range remove {
			delete(c.snapshots[id].shared, account)
		}
		return nil
	}, append([]string{id}, add...)...)
}

func (c *cloud) RegionEnabled(_ context.Context, region string) (enabled bool, err error) {
	err = c.read(region, "RegionEnabled", func() error {
		enabled = !c.disabled[region]
		if strings.HasPrefix(region, "xx-") {
			return awsError("InvalidParameterValue")
		}
		return nil
	})
	return enabled, err
}

func (c *cloud) restoreState(s *cloudSnapshot, zone string) string {
	now := c.clock.Now()
	if at, ok := s.restoresDisabledAt[zone]; ok {
		if now.Before(at.Add(c.step)) {
			return ebs.FastRestoreDisabling
		}
		return ebs.FastRestoreDisabled
	}
	switch since := now.Sub(s.restores[zone]); {
	case since < c.step:
		return ebs.FastRestoreEnabling
	case since < 2*c.step:
		return ebs.FastRestoreOptimizing
	}
	return ebs.FastRestoreEnabled
}

func (c *cloud) FastRestores(_ context.Context, ids []string) (found []ebs.FastRestore, err error) {
	err = c.read("home", "FastRestores", func() error {
		for _, id := range ids {
			for _, zone := range slices.Sorted(maps.Keys(c.snapshots[id].restores)) {
				found = append(found, ebs.FastRestore{SnapshotID: id, AvailabilityZone: zone, State: c.restoreState(c.snapshots[id], zone)})
			}
		}
		return nil
	})
	return found, err
}

func (c *cloud) EnableFastRestore(_ context.Context, id string, zones []string) error {
	return c.write("home", "EnableFastRestore", func() error {
		for _, zone := range zones {
			if c.refused[zone] {
				return fmt.Errorf("enabling fast restores of snapshot %s in %s: %w", id, zone, awsError("FastSnapshotRestoreLimitExceeded"))
			}
			delete(c.snapshots[id].restoresDisabledAt, zone)
			c.snapshots[id].restores[zone] = c.clock.Now()
		}
		return nil
	}, append([]string{id}, zones...)...)
}

func (c *cloud) DisableFastRestore(_ context.Context, id string, zones []string) error {
	return c.write("home", "DisableFastRestore", func() error {
		for _, zone := range zones {
			c.snapshots[id].restoresDisabledAt[zone] = c.clock.Now()
		}
		return nil
	})
}

func (c *cloud) Get(_ context.Context, name string) (found ssm.Parameter, err error) {
	err = c.read("home", "GetParameter", func() error {
		parameter, ok := c.params[name]
		if !ok {
			return awsError("ParameterNotFound")
		}
		found = parameter
		return nil
	})
	return found, err
}

func (c *cloud) Create(_ context.Context, name, value, _ string, tags map[string]string) error {
	return c.write("home", "CreateParameter", func() error {
		if _, ok := c.params[name]; ok {
			return awsError("ParameterAlreadyExists")
		}
		c.params[name] = ssm.Parameter{Value: value, Tags: maps.Clone(tags)}
		return nil
	}, name, value)
}

func (c *cloud) Update(_ context.Context, name, value string) error {
	return c.write("home", "UpdateParameter", func() error {
		parameter := c.params[name]
		parameter.Value = value
		c.params[name] = parameter
		return nil
	}, name, value)
}

// Delete is a parameter's.
func (c *cloud) Delete(_ context.Context, name string) error {
	return c.write("home", "DeleteParameter", func() error {
		delete(c.params, name)
		return nil
	})
}

// elsewhere is the cloud in one Region.
type elsewhere struct {
	*cloud
	region string
}

func (e elsewhere) Find(_ context.Context, tags map[string]string) (found []ebs.Snapshot, err error) {
	err = e.read(e.region, "Find", func() error {
		if e.disabled[e.region] {
			return awsError("AuthFailure")
		}
		e.lastLook[e.region+tags[ebs.TagSourceID]] = e.clock.Now()
		for _, s := range e.snapshots {
			visible := s.region == e.region && !e.unlisted && !e.clock.Now().Before(s.visibleAt)
			for key, value := range tags {
				visible = visible && s.Tags[key] == value
			}
			if visible {
				found = append(found, e.show(s))
			}
		}
		return nil
	})
	slices.SortFunc(found, func(a, b ebs.Snapshot) int { return a.StartTime.Compare(b.StartTime) })
	return found, err
}

func (e elsewhere) Copy(_ context.Context, input ebs.CopyInput) (id string, err error) {
	err = e.write(e.region, "Copy", func() error {
		if key := e.keys[input.KMSKeyID]; input.KMSKeyID != "" && !key.Enabled {
			return awsError("InvalidKMSKey.InvalidState")
		}
		made := e.make(e.region, input.Tags)
		made.State, made.Description = ebs.StatePending, input.Description
		made.visibleAt, made.readyAt = e.clock.Now().Add(e.hide), e.clock.Now().Add(e.copying)
		made.spoilt = e.spoil(e.region)
		id = made.ID
		return nil
	}, input.SourceID)
	if err != nil {
		return "", err
	}
	return id, nil
}

func (e elsewhere) Delete(_ context.Context, id string) error {
	return e.write(e.region, "DeleteCopy", func() error {
		delete(e.snapshots, id)
		return nil
	})
}

func (e elsewhere) Describe(_ context.Context, id string) (found ebs.Snapshot, err error) {
	err = e.read(e.region, "Describe", func() error {
		s := e.snapshots[id]
		if s == nil || s.region != e.region || e.clock.Now().Before(s.visibleAt) {
			return awsError("InvalidSnapshot.NotFound")
		}
		found = e.show(s)
		return nil
	})
	return found, err
}

// keys are those of one Region.
type keys elsewhere

func (k keys) Describe(_ context.Context, keyID string) (found kms.Key, err error) {
	err = k.read(k.region, "DescribeKey", func() error {
		key, ok := k.keys[keyID]
		if !ok {
			return awsError("NotFoundException")
		}
		found = key
		return nil
	})
	return found, err
}
