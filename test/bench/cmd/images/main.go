// Command images makes the layers that the benchmarks need, unless they are there, and serves the images on loopback
// until it gets SIGTERM. Its first line of output is a bench.RegistryFacts.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/larder-dev/larder/test/bench"
)

func main() {
	megabytes := flag.Int64("mb", 1000, "size of the set of images, compressed")
	flag.Parse()
	if err := run(*megabytes); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(megabytes int64) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, layers, err := bench.EnsureLayers(megabytes)
	if err != nil {
		return err
	}
	images, err := bench.NewRegistry(dir, layers)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the registry: %w", err)
	}
	server := &http.Server{Handler: images, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // its connections end with the process
	facts := bench.RegistryFacts{Host: listener.Addr().String(), Layers: layers, Documents: images.Documents}
	if err := json.NewEncoder(os.Stdout).Encode(facts); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
