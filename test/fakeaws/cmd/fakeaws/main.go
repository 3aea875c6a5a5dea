// Command fakeaws runs the AWS double on its own, for a demo or for trying things by hand. It prints the
// environment by which the SDK and the AWS CLI find it, and ends with SIGINT or SIGTERM.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/larder-dev/larder/test/fakeaws"
)

func main() {
	var options fakeaws.Options
	flag.StringVar(&options.Listen, "listen", "127.0.0.1:0", "address and port to listen on; port 0 takes a free one")
	flag.StringVar(&options.Region, "region", "us-west-2", "AWS Region to be")
	flag.StringVar(&options.AccountID, "account-id", "111122223333", "AWS account to be")
	flag.StringVar(&options.Dir, "dir", "", "existing folder for block data, instead of memory")
	flag.DurationVar(&options.PendingFor, "pending-for", 0, "how long a snapshot stays pending after it was completed")
	flag.Parse()
	if err := run(options); err != nil {
		fmt.Fprintln(os.Stderr, "fakeaws:", err)
		os.Exit(1)
	}
}

func run(options fakeaws.Options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := fakeaws.New(options)
	if err != nil {
		return err
	}
	environment := server.Env()
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		fmt.Printf("export %s=%s\n", name, environment[name])
	}
	<-ctx.Done()
	err = server.Close()
	for _, what := range server.Unmodelled() {
		fmt.Fprintln(os.Stderr, "fakeaws was asked for what it does not model:", what)
	}
	return err
}
