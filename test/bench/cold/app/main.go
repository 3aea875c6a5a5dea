// Command app is what the containers of the cold benchmark run: a static program that is ready when it has read its
// files, as an interpreter is that has imported its modules.
//
//	app pause        waits for SIGTERM or SIGINT, as a pod's sandbox does
//	app start LIST   reads each file that LIST names, one a line
//
// The second writes two lines: "started" with the time in nanoseconds since 1970, and "ready" with the time and the
// number of bytes that it read.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	started := time.Now()
	if err := run(os.Args[1:], started); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, started time.Time) error {
	switch {
	case len(args) == 1 && args[0] == "pause":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
		return nil
	case len(args) == 2 && args[0] == "start":
		fmt.Println("started", started.UnixNano())
		read, err := readAll(args[1])
		if err != nil {
			return err
		}
		fmt.Println("ready", time.Now().UnixNano(), read)
		return nil
	}
	return fmt.Errorf("app: use \"pause\" or \"start LIST\", not %q", args)
}

func readAll(list string) (read int64, err error) {
	names, err := os.Open(list)
	if err != nil {
		return 0, err
	}
	defer names.Close()
	lines := bufio.NewScanner(names)
	for lines.Scan() {
		n, err := readFile(lines.Text())
		if err != nil {
			return 0, err
		}
		read += n
	}
	return read, lines.Err()
}

func readFile(name string) (int64, error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return io.Copy(io.Discard, file)
}
