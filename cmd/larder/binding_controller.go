package main

import (
	"context"
	"fmt"
	"regexp"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/batchcomputeenvironment"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
	"github.com/larder-dev/larder/controllers/binding/ecsservice"
	"github.com/larder-dev/larder/controllers/binding/launchtemplate"
	"github.com/larder-dev/larder/controllers/binding/managednodegroup"
	"github.com/larder-dev/larder/controllers/binding/volumesnapshot"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/ecs"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/internal/aws/ssm"
)

// bindingController wires the controller of NodeClassBindings.
type bindingController struct {
	manager ctrl.Manager
	aws     aws.Config
	// home are the clients for the operator's Region.
	home *region
	// owners are the accounts beside the own one whose snapshots may be bound.
	owners []string
}

func (b *bindingController) add(ctx context.Context) error {
	return (&binding.Reconciler{
		Client:   b.manager.GetClient(),
		Reader:   b.manager.GetAPIReader(),
		Recorder: b.manager.GetEventRecorder("larder-binding"),
		Clock:    clock.RealClock{},
		Source:   b.source(),
		Targets:  b.targets(),
	}).SetupWithManager(ctx, b.manager)
}

// targets are the kinds of spec.target: a further one is one more line.
func (b *bindingController) targets() binding.Targets {
	client, reader := b.manager.GetClient(), b.manager.GetAPIReader()
	images, templates, services := ami.New(b.aws, clock.RealClock{}), launch.New(b.aws), ecs.New(b.aws)
	return binding.Targets{
		&ec2nodeclass.Target{Client: client, Reader: reader, Cache: b.manager.GetCache(), Images: images},
		&managednodegroup.Target{Groups: eks.New(b.aws), Templates: templates, Images: images, Bindings: client},
		&launchtemplate.Target{Templates: templates, Groups: templates, Scaling: templates, Images: images, Bindings: client},
		&batchcomputeenvironment.Target{
			Environments: batch.New(b.aws), Templates: templates, Images: images, Bindings: client, Clock: clock.RealClock{},
		},
		&ecsservice.Target{Reader: services, Writer: services},
		&volumesnapshot.Target{Client: client, Reader: reader},
	}
}

func (b *bindingController) source() *binding.SnapshotSource {
	return &binding.SnapshotSource{
		Client:     b.manager.GetClient(),
		Snapshots:  b.home.snapshots,
		Keys:       b.home.keys,
		Parameters: ssm.New(b.aws),
		Account: func(ctx context.Context) (string, error) {
			identity, err := aws.Identify(ctx, b.aws)
			return identity.AccountID, err
		},
		Owners: b.owners,
		Region: b.aws.Region,
		Clock:  clock.RealClock{},
	}
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// checkOwners refuses at the start what would otherwise be found out when a binding is not applied.
func checkOwners(owners []string) error {
	for _, owner := range owners {
		if !accountID.MatchString(owner) {
			return fmt.Errorf("--allowed-snapshot-owners: %q is no account's id: give ids of 12 digits, with their leading zeros and "+
				"without hyphens, like 111122223333,444455556666", owner)
		}
	}
	return nil
}
