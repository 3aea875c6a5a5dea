package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
)

// buildFlags are what larder build was asked for.
type buildFlags struct {
	images     []string
	platforms  []string
	format     format
	volumeSize gibibytes
	output     string
	snapshot   bool
	parameter  string
	ebsPuts    float64
	parent     string
	trace      string
	plainHTTP  bool
	json       bool
}

func newBuild(to streams) *cobra.Command {
	flags := buildFlags{format: format(volume.Bottlerocket)}
	command := &cobra.Command{
		Use:   "build --image REF [--image REF]… (--output FILE | --snapshot [--ssm-parameter NAME]) [--format FORMAT] [--parent FILE|snap-…] [--trace FILE]",
		Short: "Write images to a volume that nodes boot with: an EBS snapshot or a raw disk file",
		Long: `Write images to a volume that nodes boot with: an EBS snapshot or a raw disk file.

The formats are
  Bottlerocket  the data volume of Bottlerocket nodes
  Containerd    one filesystem to mount as containerd's root directory, as on AL2023
  Files         one filesystem with the images' files as a container sees them, for ECS volumes and persistent ones:
                at its root for one image, else below REPOSITORY/TAG of each; for one platform

Upon a parent, an earlier volume that Larder made and no node has mounted, only what changed is read and written.
A parent that cannot be used is done without, and the reason is shown.

A trace lists the files that containers read when they start, by their paths in the image, one a line. They are laid
together, so that a start from a new disk fetches little else. With another trace than the parent's, the volume is
built in full.

The last line of the output is the snapshot's id or the file's name. Nothing is left of a build that fails.
Credentials for registries come from Docker's or Podman's configuration, those for AWS from where every AWS tool
finds them.`,
		Example: `  larder build --image nginx:1.29 --image redis:8 --snapshot
  larder build --image nginx:1.29 --platform linux/amd64,linux/arm64 --output disk.img`,
		Args: cobra.NoArgs,
		RunE: doing(func(command *cobra.Command, _ []string) error {
			return build(command.Context(), flags, newReporter(to, flags.json))
		}),
	}
	set := command.Flags()
	set.StringArrayVar(&flags.images, "image", nil, "image to cache, by tag or digest; may be given several times")
	set.StringSliceVar(&flags.platforms, "platform", []string{"linux/amd64"}, "platforms to cache, of those that each image has")
	set.Var(&flags.format, "format", "what the volume is for: Bottlerocket, Containerd or Files")
	set.Var(&flags.volumeSize, "volume-size", "size of the volume, such as 20Gi (default: what the images need, and a quarter more)")
	set.StringVar(&flags.output, "output", "", "write a raw disk to this file")
	set.BoolVar(&flags.snapshot, "snapshot", false, "write an EBS snapshot, and wait until it is completed")
	set.StringVar(&flags.parameter, "ssm-parameter", "", "SSM parameter to write the snapshot's id to, such as /larder/inference")
	set.Float64Var(&flags.ebsPuts, "ebs-puts-per-second", ebs.DefaultPutsPerSecond, "blocks to send to AWS in a second, up to the account's quota for PutSnapshotBlock")
	set.StringVar(&flags.parent, "parent", "", "earlier volume whose unchanged layers stay: a raw disk file, or a snapshot")
	set.StringVar(&flags.trace, "trace", "", "file with the paths of what containers read when they start, one a line")
	set.BoolVar(&flags.plainHTTP, "plain-http", false, "speak to registries without TLS")
	set.BoolVar(&flags.json, "json", false, "write progress and the result as lines of JSON")
	if err := command.MarkFlagRequired("image"); err != nil {
		panic(err) // the flag is defined above
	}
	command.PreRunE = func(*cobra.Command, []string) error {
		if flags.snapshot && flags.parent != "" && !isSnapshot(flags.parent) {
			return fmt.Errorf("the parent of a snapshot has to be a snapshot, and %s is a file", flags.parent)
		}
		if flags.parameter != "" && !flags.snapshot {
			return errors.New("--ssm-parameter names a snapshot: give --snapshot too")
		}
		return nil
	}
	command.MarkFlagsOneRequired("output", "snapshot")
	command.MarkFlagsMutuallyExclusive("output", "snapshot")
	return command
}

func build(ctx context.Context, flags buildFlags, report reporter) error {
	trace, err := readTrace(flags.trace)
	if err != nil {
		return err
	}
	publication, err := findParameter(ctx, flags.parameter)
	if err != nil {
		return err
	}
	options := image.Options{UserAgent: "larder"}
	if flags.plainHTTP {
		options.Registries = image.PlainHTTP()
	}
	client := image.NewClient(options)
	images := make([]image.Image, 0, len(flags.images))
	for _, reference := range flags.images {
		resolved, err := client.Resolve(ctx, reference, flags.platforms)
		if err != nil {
			return err
		}
		report.resolved(resolved)
		images = append(images, *resolved)
	}
	parent := newParent(flags.parent)
	defer parent.close()
	target := newTarget(flags, images, report)
	result, err := volume.Make(ctx, volume.Request{
		Format:   volume.Format(flags.format),
		Images:   images,
		Size:     int64(flags.volumeSize),
		Layers:   client,
		Trace:    trace,
		Parent:   parent.volume(),
		Create:   target.create,
		Progress: report.progress,
	})
	if err != nil {
		report.failed()
		return fmt.Errorf("building the volume: %w", err)
	}
	if err := target.describe(ctx, result); err != nil {
		report.warn(err)
	}
	if err := publication.write(ctx, target.name().SnapshotID); err != nil {
		report.failed()
		return err
	}
	report.finished(target.name(), result)
	return nil
}
