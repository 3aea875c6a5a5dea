package collection

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	candidates = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "larder_collection_candidates",
		Help: "Snapshots and copies that are to be deleted, by reason; most wait for a grace, or for who still uses them.",
	}, []string{"reason"})
	deletedSnapshots = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "larder_collection_deleted_total",
		Help: "Snapshots and copies that were deleted, by reason.",
	}, []string{"reason"})
	failedSweeps = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "larder_collection_failed_sweeps_total",
		Help: "Sweeps in which something could not be read or done, so that what depends on it was kept.",
	})
)

func init() {
	metrics.Registry.MustRegister(candidates, deletedSnapshots, failedSweeps)
	for _, one := range []cause{causeHistory, causeOrphan, causeCopy} {
		candidates.WithLabelValues(string(one))
		deletedSnapshots.WithLabelValues(string(one))
	}
}
