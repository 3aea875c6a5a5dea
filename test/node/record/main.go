// Command record runs a container and lists the files of its image that it opens, as larder build --trace takes them:
// one path a line, in the order of their first use.
//
//	record --output trace.txt docker.io/library/app:v1
//	record --for 30s --output trace.txt docker.io/library/server:v1 --port 8080
//
// It needs root on a node that has the image. The container gets the image's entrypoint, with the arguments behind
// the image's name instead of the image's own, and the host's network. The recording ends with the container, when the
// time that --for gives has passed since its start, or with SIGINT; the container and what it wrote are removed then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	address, namespace, output string
	limit                      time.Duration
	image                      string
	arguments                  []string
}

func main() {
	var o options
	flag.StringVar(&o.address, "address", "/run/containerd/containerd.sock", "containerd's socket")
	flag.StringVar(&o.namespace, "namespace", "k8s.io", "containerd's namespace of the image")
	flag.StringVar(&o.output, "output", "", "file to write the trace to (default: standard output, beside the container's)")
	flag.DurationVar(&o.limit, "for", 0, "how long to record from the container's start, if it does not end by itself")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: record [--address SOCKET] [--namespace NAME] [--for 30s] [--output FILE] IMAGE [ARGUMENT…]")
		os.Exit(2)
	}
	o.image, o.arguments = flag.Arg(0), flag.Args()[1:]
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	opened, err := record(ctx, o)
	if err != nil {
		return fmt.Errorf("recording %s: %w", o.image, err)
	}
	if len(opened) == 0 {
		return errors.New("the container opened no file of its image")
	}
	trace := []byte(strings.Join(opened, "\n") + "\n")
	if o.output == "" {
		_, err = os.Stdout.Write(trace)
	} else {
		err = os.WriteFile(o.output, trace, 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	return nil
}
