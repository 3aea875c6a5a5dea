package main

import (
	"context"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/larder-dev/larder/internal/aws"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/ecr"
	"github.com/larder-dev/larder/internal/aws/kms"
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
}

func (s *snapshotController) add(ctx context.Context) error {
	cluster, err := snapshot.ClusterUID(ctx, s.manager.GetAPIReader())
	if err != nil {
		return err
	}
	passive := clock.RealClock{}
	client := ebs.New(s.aws, ebs.Options{PutsPerSecond: s.putsPerSecond})
	registries := &snapshot.PullSecrets{
		Secrets:   s.manager.GetAPIReader(),
		Namespace: s.namespace,
		Options: image.Options{
			Keychain:   authn.NewMultiKeychain(ecr.New(s.aws, passive), authn.DefaultKeychain),
			Registries: s.registries,
			UserAgent:  "larder",
		},
	}
	builder := &snapshotBuilder{registries: registries, snapshots: client}
	return (&snapshot.Reconciler{
		Client:     s.manager.GetClient(),
		Live:       s.manager.GetAPIReader(),
		Registries: registries,
		Snapshots:  client,
		Contents:   builder,
		Keys:       kms.New(s.aws),
		Runner:     snapshot.NewRunner(builder, parallelBuilds, passive),
		Recorder:   s.manager.GetEventRecorder("larder-snapshot"),
		Clock:      passive,
		ClusterUID: cluster,
		Region:     s.aws.Region,
	}).SetupWithManager(s.manager)
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
