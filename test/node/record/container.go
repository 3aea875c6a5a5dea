package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// cleanUpLimit is generous: a killed container is gone in less than a second.
const cleanUpLimit = 30 * time.Second

// record runs a container until it ends, or its time or ctx does, and returns the files that were opened.
func record(ctx context.Context, o options) (opened []string, err error) {
	containerd, err := client.New(o.address)
	if err != nil {
		return nil, fmt.Errorf("connecting to containerd: %w", err)
	}
	defer func() { _ = containerd.Close() }()
	// What is made is removed, also when the time is over.
	cleanUp, cancel := context.WithCancel(namespaces.WithNamespace(context.WithoutCancel(ctx), o.namespace))
	defer cancel()
	ctx = namespaces.WithNamespace(ctx, o.namespace)

	image, err := containerd.GetImage(ctx, o.image)
	if err != nil {
		return nil, fmt.Errorf("finding the image: %w: pull it, or start on a volume that has it", err)
	}
	id := fmt.Sprintf("larder-record-%d", os.Getpid())
	container, err := containerd.NewContainer(ctx, id, client.WithImage(image), client.WithNewSnapshot(id, image),
		client.WithNewSpec(
			oci.WithImageConfigArgs(image, o.arguments),
			oci.WithHostNamespace(specs.NetworkNamespace), oci.WithHostHostsFile, oci.WithHostResolvconf,
			oci.WithCgroup("/"+id),
		))
	if err != nil {
		return nil, fmt.Errorf("making a container: %w", err)
	}
	defer func() {
		timed, cancel := context.WithTimeout(cleanUp, cleanUpLimit)
		defer cancel()
		err = errors.Join(err, container.Delete(timed, client.WithSnapshotCleanup))
	}()
	// The task's first process waits inside of the mounted image until it is started.
	task, err := container.NewTask(ctx, cio.NewCreator(cio.WithStreams(nil, os.Stdout, os.Stderr)))
	if err != nil {
		return nil, fmt.Errorf("making the container's process: %w", err)
	}
	defer func() {
		timed, cancel := context.WithTimeout(cleanUp, cleanUpLimit)
		defer cancel()
		_, deleteErr := task.Delete(timed, client.WithProcessKill)
		err = errors.Join(err, deleteErr)
	}()
	exit, err := task.Wait(cleanUp)
	if err != nil {
		return nil, fmt.Errorf("waiting for the container: %w", err)
	}
	opens, err := watchOpens(fmt.Sprintf("/proc/%d/root", task.Pid()))
	if err != nil {
		return nil, err
	}
	defer opens.close()
	if err := task.Start(ctx); err != nil {
		return nil, fmt.Errorf("starting the container: %w", err)
	}
	if o.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.limit)
		defer cancel()
	}
	ended := make(chan error, 1)
	go func() { ended <- waitForEnd(ctx, exit) }()
	return opens.readUntil(ended)
}

// waitForEnd returns when the container has ended, or ctx.
func waitForEnd(ctx context.Context, exit <-chan client.ExitStatus) error {
	select {
	case <-ctx.Done():
		return nil
	case status := <-exit:
		code, _, err := status.Result()
		if err != nil {
			return fmt.Errorf("waiting for the container: %w", err)
		}
		if code != 0 {
			return fmt.Errorf("the container ended with status %d: what it opened is no start to go by", code)
		}
		return nil
	}
}
