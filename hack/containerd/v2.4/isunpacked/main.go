// Command isunpacked asks containerd, through its own client, whether an image is unpacked for a platform that is not
// the machine's: ctr asks for the machine's alone.
//
//	isunpacked SOCKET NAMESPACE REFERENCE PLATFORM
//
// It prints "true" or "false". What is not unpacked for exactly the platform does not count: no amd64 for 386.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/platforms"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "isunpacked:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) != 4 {
		return errors.New("usage: isunpacked SOCKET NAMESPACE REFERENCE PLATFORM")
	}
	socket, namespace, reference := arguments[0], arguments[1], arguments[2]
	platform, err := platforms.Parse(arguments[3])
	if err != nil {
		return fmt.Errorf("reading the platform: %w", err)
	}
	containerd, err := client.New(socket)
	if err != nil {
		return fmt.Errorf("connecting to containerd: %w", err)
	}
	defer containerd.Close()
	ctx = namespaces.WithNamespace(ctx, namespace)
	record, err := containerd.ImageService().Get(ctx, reference)
	if err != nil {
		return fmt.Errorf("finding the image: %w", err)
	}
	image := client.NewImageWithPlatform(containerd, record, platforms.OnlyStrict(platform))
	unpacked, err := image.IsUnpacked(ctx, defaults.DefaultSnapshotter)
	if err != nil {
		return fmt.Errorf("asking for the image's snapshots: %w", err)
	}
	fmt.Println(unpacked)
	return nil
}
