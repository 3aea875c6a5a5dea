package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/larder-dev/larder/internal/volume"
)

func newInspect(to streams) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "inspect (FILE | snap-…)",
		Short: "Show which images are in an EBS snapshot or a raw disk file, without booting it",
		Example: `  larder inspect disk.img
  larder inspect snap-0123456789abcdef0 --json`,
		Args: cobra.ExactArgs(1),
		RunE: doing(func(command *cobra.Command, arguments []string) error {
			contents, err := inspect(command.Context(), arguments[0])
			if err != nil {
				return fmt.Errorf("inspecting %s: %w", arguments[0], err)
			}
			if asJSON {
				return json.NewEncoder(to.out).Encode(contents)
			}
			return show(to.out, contents)
		}),
	}
	command.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return command
}

func inspect(ctx context.Context, name string) (*volume.Contents, error) {
	disk, closeDisk, err := openDisk(ctx, name)
	if err != nil {
		return nil, err
	}
	defer closeDisk()
	return volume.Inspect(disk, disk.Size())
}

func show(out io.Writer, contents *volume.Contents) error {
	fmt.Fprintf(out, "Format:      %s\nSize:        %s\nFilesystem:  %s\nUsed:        %s\n",
		contents.Format, humanBytes(contents.Size), contents.Filesystem, humanBytes(contents.Used))
	if contents.Traced > 0 {
		fmt.Fprintf(out, "Traced:      %s\n", humanBytes(contents.Traced))
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if contents.Format == volume.Files {
		showFiles(table, contents.Images)
	} else {
		showNames(table, contents.Images)
	}
	return table.Flush()
}

// showFiles lists each image with the directory that has its files.
func showFiles(table io.Writer, images []volume.ContentsImage) {
	fmt.Fprintln(table, "DIRECTORY\tIMAGE\tPLATFORMS\tCOMPRESSED\tDIGEST")
	for _, image := range images {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", image.Directory, strings.Join(image.Names, ","),
			strings.Join(image.Platforms, ","), humanBytes(image.Size), image.Digest)
	}
}

// showNames lists each image under all names that containerd knows it by.
func showNames(table io.Writer, images []volume.ContentsImage) {
	fmt.Fprintln(table, "IMAGE\tPLATFORMS\tCOMPRESSED\tPINNED\tDIGEST")
	for _, image := range images {
		for i, name := range image.Names {
			if i > 0 {
				fmt.Fprintf(table, "%s\t\t\t\t\n", name)
				continue
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%v\t%s\n",
				name, strings.Join(image.Platforms, ","), humanBytes(image.Size), image.Pinned, image.Digest)
		}
	}
}
