package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/controllers/snapshot/builder"
	"github.com/larder-dev/larder/controllers/snapshot/collection"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/ecr"
	"github.com/larder-dev/larder/internal/aws/ecs"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/internal/aws/ssm"
	"github.com/larder-dev/larder/internal/image"
)

// snapshotController wires the controller of ImageCacheSnapshots.
type snapshotController struct {
	manager ctrl.Manager
	// namespace is the operator's.
	namespace     string
	aws           aws.Config
	putsPerSecond float64
	registries    *image.Registries
	collection    collectionFlags

	cluster types.UID
	regions regions
}

// collectionFlags say what is deleted when.
type collectionFlags struct {
	dryRun                    bool
	exposedGrace, orphanGrace time.Duration
}

func (s *snapshotController) add(ctx context.Context) error {
	cluster, err := snapshot.ClusterUID(ctx, s.manager.GetAPIReader())
	if err != nil {
		return err
	}
	s.cluster = cluster
	s.regions = regions{aws: s.aws, made: map[string]*region{}}
	home := ebs.New(s.aws, ebs.Options{PutsPerSecond: s.putsPerSecond})
	s.regions.made[s.aws.Region] = newRegion(s.aws, home)
	collector := s.collector()
	if err := s.manager.Add(collector); err != nil {
		return fmt.Errorf("adding the collector: %w", err)
	}
	builds := &builder.InProcess{Registries: s.pullSecrets(), Snapshots: home}
	reconciler := &snapshot.Reconciler{
		Client:       s.manager.GetClient(),
		Live:         s.manager.GetAPIReader(),
		Registries:   builds.Registries,
		Snapshots:    home,
		Contents:     builds,
		Keys:         s.regions.of(s.aws.Region).keys,
		Runner:       snapshot.NewRunner(builds, parallelBuilds, clock.RealClock{}),
		References:   collector.References,
		Consumers:    s.regions.of(s.aws.Region).consumers,
		Distribution: s.distributor(),
		Collection:   collector,
		Recorder:     s.manager.GetEventRecorder("larder-snapshot"),
		Clock:        clock.RealClock{},
		ClusterUID:   cluster,
		Region:       s.aws.Region,
	}
	collector.Collected = reconciler.Look
	return reconciler.SetupWithManager(s.manager)
}

// region are the clients for one Region.
type region struct {
	snapshots *ebs.Client
	keys      *kms.Client
	consumers []references.Consumers
}

func newRegion(in aws.Config, snapshots *ebs.Client) *region {
	return &region{snapshots: snapshots, keys: kms.New(in), consumers: consumersOf(in)}
}

// consumersOf has launch templates first: that EC2 answers tells those after it that AWS can be reached.
func consumersOf(in aws.Config) []references.Consumers {
	templates := launch.New(in)
	return []references.Consumers{
		templates,
		eks.Uses{Groups: eks.New(in), Templates: templates},
		batch.Uses{Environments: batch.New(in), Templates: templates},
		ecs.New(in),
	}
}

// regions keep their clients, and with these the connections.
type regions struct {
	aws  aws.Config
	mu   sync.Mutex
	made map[string]*region
}

func (r *regions) of(name string) *region {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made[name] == nil {
		in := aws.InRegion(r.aws, name)
		r.made[name] = newRegion(in, ebs.New(in, ebs.Options{}))
	}
	return r.made[name]
}

func (s *snapshotController) pullSecrets() *snapshot.PullSecrets {
	return &snapshot.PullSecrets{
		Secrets:   s.manager.GetAPIReader(),
		Namespace: s.namespace,
		Options: image.Options{
			Keychain:   authn.NewMultiKeychain(ecr.New(s.aws, clock.RealClock{}), authn.DefaultKeychain),
			Registries: s.registries,
			UserAgent:  "larder",
		},
	}
}

func (s *snapshotController) distributor() *distribution.Distributor {
	home := s.regions.of(s.aws.Region).snapshots
	return &distribution.Distributor{
		Home:         home,
		FastRestores: home,
		Elsewhere:    func(region string) distribution.Copies { return s.regions.of(region).snapshots },
		Keys:         func(region string) distribution.Keys { return s.regions.of(region).keys },
		Parameters:   ssm.New(s.aws),
		Client:       s.manager.GetClient(),
		Reader:       s.manager.GetAPIReader(),
		Namespace:    s.namespace,
		Region:       s.aws.Region,
		ClusterUID:   s.cluster,
		Clock:        clock.RealClock{},
	}
}

func (s *snapshotController) collector() *collection.Collector {
	return &collection.Collector{
		Client:     s.manager.GetClient(),
		Live:       s.manager.GetAPIReader(),
		References: references.Reader{Live: s.manager.GetAPIReader(), Mapper: s.manager.GetRESTMapper()},
		Regions: func(region string) collection.Region {
			clients := s.regions.of(region)
			return collection.Region{Snapshots: clients.snapshots, Consumers: clients.consumers}
		},
		CopiedTo:     distribution.CopiedTo,
		Recorder:     s.manager.GetEventRecorder("larder-collection"),
		Clock:        clock.RealClock{},
		ClusterUID:   s.cluster,
		Home:         s.aws.Region,
		Namespace:    s.namespace,
		ExposedGrace: s.collection.exposedGrace,
		OrphanGrace:  s.collection.orphanGrace,
		DryRun:       s.collection.dryRun,
	}
}

// readRegistries reads the operator's configuration of registries; no file means that all are reached as usual.
func readRegistries(path string) (*image.Registries, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the registries: %w", err)
	}
	registries, err := image.ReadRegistries(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return registries, nil
}
