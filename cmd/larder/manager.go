package main

import (
	"context"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // a rollout's window has a time zone, and the image has no files of them

	"github.com/go-logr/logr"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/collection"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	leaseName = "larder-manager"
	// parallelBuilds bounds the memory of builds: each holds about 100 MiB of blocks on their way.
	parallelBuilds = 2
	// stopTimeout is for builds that are cancelled to delete their snapshots. The Deployment's
	// terminationGracePeriodSeconds is longer.
	stopTimeout = 50 * time.Second
)

// managerFlags are what larder manager was asked for.
type managerFlags struct {
	kubeconfig     string
	metricsAddress string
	probeAddress   string
	leaderElection bool
	ebsPuts        float64
	registriesFile string
	snapshotOwners []string
	collection     collectionFlags
}

func newManager(to streams) *cobra.Command {
	var flags managerFlags
	command := &cobra.Command{
		Use:   "manager",
		Short: "Run the operator",
		Long: `Run the operator: make snapshots for ImageCacheSnapshots, and make the targets of NodeClassBindings boot with
them. Its log, lines of JSON, goes to standard error.`,
		Args: cobra.NoArgs,
		RunE: doing(func(command *cobra.Command, _ []string) error {
			return manage(command.Context(), flags, zap.New(zap.WriteTo(to.err)))
		}),
	}
	set := command.Flags()
	set.StringVar(&flags.kubeconfig, "kubeconfig", "", "kubeconfig file (default: the service account in a pod, else KUBECONFIG or ~/.kube/config)")
	set.StringVar(&flags.metricsAddress, "metrics-bind-address", ":8080", "where to serve metrics; 0 serves none")
	set.StringVar(&flags.probeAddress, "health-probe-bind-address", ":8081", "where to serve /healthz and /readyz; 0 serves none")
	set.BoolVar(&flags.leaderElection, "leader-elect", false, "work only while holding the lease, so that several replicas may run")
	set.Float64Var(&flags.ebsPuts, "ebs-puts-per-second", ebs.DefaultPutsPerSecond, "blocks that all builds together send to AWS in a second, up to the account's quota for PutSnapshotBlock")
	set.StringVar(&flags.registriesFile, "registries-file", "", "YAML file with mirrors, certificate authorities and plain HTTP of registries")
	set.StringSliceVar(&flags.snapshotOwners, "allowed-snapshot-owners", nil, "ids of other AWS accounts whose snapshots NodeClassBindings may name, 12 digits each (default: only the operator's own account)")
	set.BoolVar(&flags.collection.dryRun, "gc-dry-run", false, "say by events and a metric which snapshots would be deleted, and delete none that an object has once offered")
	set.DurationVar(&flags.collection.exposedGrace, "gc-exposed-grace", collection.DefaultExposedGrace, "how long a snapshot stays after it was superseded that was copied, shared or published")
	set.DurationVar(&flags.collection.orphanGrace, "gc-orphan-grace", collection.DefaultOrphanGrace, "how long a snapshot stays after its object was found to be gone")
	return command
}

func manage(ctx context.Context, flags managerFlags, logger logr.Logger) error {
	log.SetLogger(logger)
	if err := checkOwners(flags.snapshotOwners); err != nil {
		return err
	}
	config, namespace, err := kubernetesConfig(flags.kubeconfig)
	if err != nil {
		return fmt.Errorf("loading the Kubernetes configuration: %w", err)
	}
	registries, err := readRegistries(flags.registriesFile)
	if err != nil {
		return err
	}
	awsConfig, err := aws.Load(ctx)
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), snapshotv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("registering the kinds: %w", err)
	}
	grace := stopTimeout
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Logger:                  logger,
		Metrics:                 metricsserver.Options{BindAddress: flags.metricsAddress},
		HealthProbeBindAddress:  flags.probeAddress,
		LeaderElection:          flags.leaderElection,
		LeaderElectionID:        leaseName,
		GracefulShutdownTimeout: &grace,
	})
	if err != nil {
		return fmt.Errorf("making the manager: %w", err)
	}
	if err := addProbes(manager); err != nil {
		return err
	}
	snapshots := &snapshotController{
		manager: manager, namespace: namespace, aws: awsConfig, putsPerSecond: flags.ebsPuts, registries: registries, collection: flags.collection,
	}
	if err := snapshots.add(ctx); err != nil {
		return err
	}
	bindings := &bindingController{
		manager: manager, aws: awsConfig, home: snapshots.regions.of(awsConfig.Region), owners: flags.snapshotOwners,
	}
	if err := bindings.add(ctx); err != nil {
		return err
	}
	return manager.Start(ctx)
}

func addProbes(manager ctrl.Manager) error {
	if err := manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health probe: %w", err)
	}
	if err := manager.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the readiness probe: %w", err)
	}
	return nil
}

// kubernetesConfig follows kubectl's rules for where a cluster is named. The namespace is the operator's own: that of its
// pod, or of the kubeconfig's context.
func kubernetesConfig(path string) (config *rest.Config, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	if config, err = loader.ClientConfig(); err != nil {
		return nil, "", err
	}
	namespace, _, err = loader.Namespace()
	return config, namespace, err
}
