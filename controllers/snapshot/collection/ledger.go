package collection

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// LedgerName is the ConfigMap, in the operator's namespace, of what must not be deleted and cannot say so itself.
const LedgerName = "larder-retained"

// ledger is what stands in that ConfigMap.
type ledger struct {
	// retained are objects that were deleted with deletionPolicy Retain, until all that they had is tagged.
	retained map[types.UID]retention
	// spent are identities whose snapshots were deleted, by the ids of those. Without this, a person's copy, which has
	// the same tags, would be taken for ours as soon as ours is gone. If Larder uses one anew, for another copy of a
	// revision that was rolled back to, it is there by the new id.
	spent map[string]spent
}

// spentBy returns the id of another snapshot of a Region that had the identity.
func (l *ledger) spentBy(region, id string, of identity) (original string, found bool) {
	for original, one := range l.spent {
		if original != id && one.Region == region && one.identity() == of {
			return original, true
		}
	}
	return "", false
}

// retention is a retained object.
type retention struct {
	Name string      `json:"name"`
	Time metav1.Time `json:"time"`
	// Regions, beside the operator's own, may have copies of its snapshots.
	Regions []string `json:"regions,omitempty"`
}

// spent is the identity of a snapshot that was deleted, or is about to be.
type spent struct {
	Region   string      `json:"region"`
	Object   types.UID   `json:"object"`
	Revision int64       `json:"revision"`
	Attempt  int64       `json:"attempt"`
	Source   string      `json:"source,omitempty"`
	Time     metav1.Time `json:"time"`
}

func newSpent(o *owned, at time.Time) spent {
	return spent{Region: o.region, Object: o.uid, Revision: o.revision, Attempt: o.attempt, Source: o.source, Time: metav1.NewTime(at)}
}

func (s spent) identity() identity { return identity{s.Object, s.Revision, s.Attempt, s.Source} }

// snapshotPrefix begins the ids of snapshots, and no UID.
const snapshotPrefix = "snap-"

// Retain records that an object's snapshots and copies are left to people, so that the object can be let go even while
// AWS cannot be reached: a sweep tags them, and deletes none of them meanwhile. To repeat it does no harm.
func (c *Collector) Retain(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) error {
	left := retention{Name: object.Name, Time: metav1.NewTime(c.Clock.Now())}
	for _, wanted := range object.Spec.Copies {
		left.Regions = append(left.Regions, wanted.Region)
	}
	for _, made := range object.Status.Copies {
		left.Regions = append(left.Regions, made.Region)
	}
	slices.Sort(left.Regions)
	left.Regions = slices.Compact(left.Regions)
	if err := c.writeLedger(ctx, map[string]any{string(object.UID): left}); err != nil {
		return fmt.Errorf("recording that ImageCacheSnapshot %s leaves its snapshots to you: %w", object.Name, err)
	}
	return nil
}

func (c *Collector) readLedger(ctx context.Context) (ledger, error) {
	found := ledger{retained: map[types.UID]retention{}, spent: map[string]spent{}}
	stored := &corev1.ConfigMap{}
	err := c.Live.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: LedgerName}, stored)
	if apierrors.IsNotFound(err) {
		return found, nil
	}
	if err != nil {
		return ledger{}, fmt.Errorf("reading ConfigMap %s, which says what is left to people: %w", LedgerName, err)
	}
	for key, value := range stored.Data {
		if err := found.add(key, value); err != nil {
			return ledger{}, fmt.Errorf("reading key %s of ConfigMap %s (mend it, or remove it if nothing of it is to be kept): %w", key, LedgerName, err)
		}
	}
	return found, nil
}

func (l *ledger) add(key, value string) error {
	if strings.HasPrefix(key, snapshotPrefix) {
		var one spent
		if err := json.Unmarshal([]byte(value), &one); err != nil {
			return err
		}
		l.spent[key] = one
		return nil
	}
	var left retention
	if err := json.Unmarshal([]byte(value), &left); err != nil {
		return err
	}
	l.retained[types.UID(key)] = left
	return nil
}

// writeLedger sets keys, and removes those that are nil. A merge patch touches no other key, so that writers need not
// know of each other.
func (c *Collector) writeLedger(ctx context.Context, changed map[string]any) error {
	if len(changed) == 0 {
		return nil
	}
	data := map[string]any{}
	for key, value := range changed {
		data[key] = nil
		if value != nil {
			encoded, err := json.Marshal(value)
			if err != nil {
				return fmt.Errorf("encoding key %s of ConfigMap %s: %w", key, LedgerName, err)
			}
			data[key] = string(encoded)
		}
	}
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return fmt.Errorf("encoding ConfigMap %s: %w", LedgerName, err)
	}
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: LedgerName}}
	err = c.Client.Patch(ctx, stored, client.RawPatch(types.MergePatchType, patch))
	if apierrors.IsNotFound(err) {
		err = c.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: LedgerName}})
		if err == nil || apierrors.IsAlreadyExists(err) {
			err = c.Client.Patch(ctx, stored, client.RawPatch(types.MergePatchType, patch))
		}
	}
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s: %w", LedgerName, err)
	}
	return nil
}
