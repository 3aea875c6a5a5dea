// Command probe is what the containers of node tests run: a static program with no needs of its own.
//
//	probe pause        waits for SIGTERM or SIGINT, as a pod's sandbox does
//	probe print FILE…  writes the files' contents to standard output
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "pause":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
		return nil
	case len(args) > 1 && args[0] == "print":
		return printFiles(args[1:])
	}
	return fmt.Errorf("probe: unknown command %q: use \"pause\" or \"print FILE…\"", args)
}

func printFiles(names []string) error {
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(content); err != nil {
			return err
		}
	}
	return nil
}
