package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/internal/warm"
)

// warmFlags are what larder warm was asked for.
type warmFlags struct {
	device   string
	parallel int
	timeout  time.Duration
	json     bool
}

// maxWarmParallel bounds the memory, 512 KiB for each block that is being read.
const maxWarmParallel = 1024

func newWarm(to streams) *cobra.Command {
	var flags warmFlags
	command := &cobra.Command{
		Use:   "warm (--device DEVICE | DIR)",
		Short: "On a node, read what containers need first, before they need it",
		Long: `On a node, read what containers need first, before they need it.

A volume made from an EBS snapshot fetches each block when it is touched for the first time. This reads the blocks
that the volume's own list names, many at a time, so that a container's start finds them fetched. DIR is where the
volume is mounted; DEVICE is the volume or its data partition, mounted or not.

A volume without a list is left alone, and that is no failure.`,
		Example: `  larder warm /local
  larder warm --device /dev/disk/by-partlabel/BOTTLEROCKET-DATA --timeout 5m`,
		Args: cobra.MaximumNArgs(1),
		PreRunE: func(_ *cobra.Command, arguments []string) error {
			if (flags.device != "") == (len(arguments) == 1) {
				return errors.New("name either a directory or, by --device, a device")
			}
			if flags.parallel < 1 || flags.parallel > maxWarmParallel {
				return fmt.Errorf("--parallel %d: must be from 1 to %d", flags.parallel, maxWarmParallel)
			}
			return nil
		},
		RunE: doing(func(command *cobra.Command, arguments []string) error {
			return warmUp(command.Context(), to, flags, arguments)
		}),
	}
	set := command.Flags()
	set.StringVar(&flags.device, "device", "", "block device of the volume or of its data partition")
	set.IntVar(&flags.parallel, "parallel", 32, "blocks to read at a time")
	set.DurationVar(&flags.timeout, "timeout", 10*time.Minute, "stop after this time, whatever is left")
	set.BoolVar(&flags.json, "json", false, "write the result as one JSON object")
	return command
}

func warmUp(ctx context.Context, to streams, flags warmFlags, arguments []string) error {
	hot, err := findHot(flags.device, arguments)
	if errors.Is(err, volume.ErrNoHotList) {
		fmt.Fprintln(to.err, err)
		return showWarmed(to.out, flags.json, warmed{})
	}
	if err != nil {
		return fmt.Errorf("warming the volume: %w", err)
	}
	device, err := warm.OpenDevice(hot.device)
	if err != nil {
		return fmt.Errorf("warming the volume: %w", err)
	}
	defer device.Close()
	ctx, cancel := context.WithTimeout(ctx, flags.timeout)
	defer cancel()
	begun := time.Now()
	filesystem := io.NewSectionReader(device, hot.start, device.Size()-hot.start)
	read, err := warm.Read(ctx, filesystem, hot.list, flags.parallel)
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(to.err, "stopped after %s\n", flags.timeout)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("warming the volume: %w", err)
	}
	return showWarmed(to.out, flags.json, warmed{
		Listed: hot.list.Blocks(), Blocks: read.Blocks, Bytes: read.Bytes, Seconds: time.Since(begun).Seconds(),
	})
}

// hot is what to read of a device.
type hot struct {
	list   warm.List
	device string
	// start is the filesystem's first byte on the device.
	start int64
}

// findHot finds the list on a device, or in a mounted directory.
func findHot(device string, arguments []string) (*hot, error) {
	if device == "" {
		return findMounted(arguments[0])
	}
	disk, err := volume.OpenFile(device)
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	list, start, err := volume.ReadHotList(disk, disk.Size())
	return &hot{list: list, device: device, start: start}, err
}

func findMounted(directory string) (*hot, error) {
	if _, err := os.Stat(directory); err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(directory, volume.HotPath))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, volume.ErrNoHotList
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	name, err := warm.DeviceOf(file)
	if err != nil {
		return nil, err
	}
	device, err := warm.OpenDevice(name)
	if err != nil {
		return nil, err
	}
	defer device.Close()
	list, err := volume.ParseHotList(file, device.Size())
	return &hot{list: list, device: name}, err
}

// warmed is how larder warm ended.
type warmed struct {
	// Listed and Blocks count blocks of 512 KiB: those on the list and those that were read.
	Listed  int64   `json:"listed"`
	Blocks  int64   `json:"blocks"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

func showWarmed(out io.Writer, asJSON bool, w warmed) error {
	if asJSON {
		return json.NewEncoder(out).Encode(w)
	}
	_, err := fmt.Fprintf(out, "read %d of %d blocks, %s in %.1f s\n", w.Blocks, w.Listed, humanBytes(w.Bytes), w.Seconds)
	return err
}
