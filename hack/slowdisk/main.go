// Command slowdisk shows a disk image as one whose blocks are fetched when they are touched for the first time, as a
// volume made from an EBS snapshot is.
//
//	slowdisk --latency 20ms --log touched.log disk.img DIRECTORY
//
// It serves the file DIRECTORY/disk, by FUSE and to root, until it gets SIGTERM or the directory is unmounted. The
// first read or write of each 512 KiB that the image holds waits for the latency; those that are holes in the image
// would not be in a snapshot, so nothing is fetched for them. The log has a line for each fetched block: the time in
// nanoseconds since 1970 when it was asked for, and its number.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// maxBackground is how many requests the kernel keeps in flight; its default of 12 would slow down who reads ahead.
const maxBackground = 256

func main() {
	latency := flag.Duration("latency", 20*time.Millisecond, "what the first touch of a block takes")
	log := flag.String("log", "", "file to list the fetched blocks in")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: slowdisk [--latency 20ms] [--log FILE] IMAGE DIRECTORY")
		os.Exit(2)
	}
	if err := serve(flag.Arg(0), flag.Arg(1), *log, *latency); err != nil {
		fmt.Fprintln(os.Stderr, "slowdisk:", err)
		os.Exit(1)
	}
}

func serve(image, directory, log string, latency time.Duration) (err error) {
	disk, err := openDisk(image, log, latency)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disk.close()) }()
	server, err := fs.Mount(directory, &root{disk: disk}, &fs.Options{MountOptions: fuse.MountOptions{
		DirectMountStrict: true, // without fusermount
		MaxBackground:     maxBackground,
		ExtraCapabilities: fuse.CAP_ASYNC_DIO, // else a loop device has one request in flight
		FsName:            image,
		Name:              "slowdisk",
	}})
	if err != nil {
		return fmt.Errorf("mounting %s: %w", directory, err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for range stop {
			if err := server.Unmount(); err != nil {
				fmt.Fprintln(os.Stderr, "slowdisk:", err)
			}
		}
	}()
	server.Wait()
	return nil
}
