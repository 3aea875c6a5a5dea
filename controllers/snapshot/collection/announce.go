package collection

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// announce tells of each snapshot that is to go, once while it waits and once when it is gone; AWS may list one for
// moments after it was deleted. What was told is remembered as long as the snapshot is there to be told of.
func (c *Collector) announce(ctx context.Context, d decision) {
	count := map[cause]int{}
	told := map[string]string{}
	for i := range d.verdicts {
		v := &d.verdicts[i]
		if v.cause == "" {
			continue
		}
		before := c.told[v.ID]
		told[v.ID] = before
		switch {
		case v.gone && before != larderv1alpha1.ReasonCollected:
			deletedSnapshots.WithLabelValues(string(v.cause)).Inc()
			told[v.ID] = larderv1alpha1.ReasonCollected
			c.event(v, larderv1alpha1.ReasonCollected, "deleted "+v.name()+": "+v.why)
			if v.object != nil && !v.isCopy() {
				c.Collected(v.object)
			}
		case !v.gone && before != larderv1alpha1.ReasonCollected:
			count[v.cause]++
			if before == "" {
				told[v.ID] = larderv1alpha1.ReasonCollectable
				c.event(v, larderv1alpha1.ReasonCollectable, v.name()+" is to be deleted: "+v.why)
				log.FromContext(ctx).Info("A snapshot is to be deleted", "snapshotID", v.ID, "region", v.region, "why", v.why, "dryRun", c.DryRun)
			}
		}
	}
	c.told = told
	for _, one := range []cause{causeHistory, causeOrphan, causeCopy} {
		candidates.WithLabelValues(string(one)).Set(float64(count[one]))
	}
}

func (v *verdict) name() string {
	return fmt.Sprintf("snapshot %s in %s (revision %d of %s)", v.ID, v.region, v.revision, v.Tags[ebs.TagObjectName])
}

// event is told of the object, or of the operator's namespace when there is none.
func (c *Collector) event(v *verdict, reason, note string) {
	var regarding runtime.Object = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Namespace}}
	if v.object != nil {
		regarding = v.object
	}
	if c.DryRun {
		note += " (nothing is deleted: Larder runs with --gc-dry-run)"
	}
	c.Recorder.Eventf(regarding, nil, corev1.EventTypeNormal, reason, "Collect", "%s", message.Clip(note, message.Longest))
}
