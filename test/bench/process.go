package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a process has used.
type Usage struct {
	// Wall and CPU are in seconds; CPU is of the process and its children, in user and kernel mode.
	Wall float64 `json:"wallSeconds"`
	CPU  float64 `json:"cpuSeconds"`
	// PeakRSS is the largest resident memory of the process, in bytes.
	PeakRSS int64 `json:"peakRSSBytes"`
	// DiskWrites are the bytes that it has written to files on disks.
	DiskWrites int64 `json:"diskWriteBytes"`
}

// program is the path of a program that was built beside this one.
func program(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the programs to measure: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding the programs to measure (make bench-build and make bench-rebuild build them): %w", err)
	}
	return path, nil
}

// server is a process that serves until it is stopped.
type server struct {
	command *exec.Cmd
	output  *bufio.Reader
}

// startServer starts a program. Its standard output has to be read no further than to its first lines.
func startServer(name string, arguments ...string) (*server, error) {
	path, err := program(name)
	if err != nil {
		return nil, err
	}
	s := &server{command: exec.CommandContext(context.Background(), path, arguments...)}
	s.command.Stderr = os.Stderr
	output, err := s.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	s.output = bufio.NewReader(output)
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return s, nil
}

func (s *server) stop() error {
	_ = s.command.Process.Signal(syscall.SIGTERM) // it may have ended, which Wait tells
	if err := s.command.Wait(); err != nil {
		return fmt.Errorf("stopping %s: %w", filepath.Base(s.command.Path), err)
	}
	return nil
}

// RegistryFacts are what the process of the registry says about itself.
type RegistryFacts struct {
	Host   string           `json:"host"`
	Layers map[string]Layer `json:"layers"`
	// Documents are the bytes of each image's manifest and config.
	Documents map[string]int64 `json:"documents"`
}

// RegistryProcess is a Registry in a process of its own.
type RegistryProcess struct {
	RegistryFacts
	server *server
}

// StartRegistry starts a registry with a set of megabytes MB.
func StartRegistry(megabytes int64) (*RegistryProcess, error) {
	s, err := startServer("images", "-mb", strconv.FormatInt(megabytes, 10))
	if err != nil {
		return nil, err
	}
	r := &RegistryProcess{server: s}
	line, err := s.output.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r.RegistryFacts)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the registry: %w", err), s.stop())
	}
	return r, nil
}

// Stop ends the process.
func (r *RegistryProcess) Stop() error { return r.server.stop() }

// Served asks what was served so far.
func (r *RegistryProcess) Served(ctx context.Context) (served Served, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Host+ServedPath, nil)
	if err != nil {
		return served, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return served, fmt.Errorf("asking the registry what it served: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&served); err != nil {
		return served, fmt.Errorf("asking the registry what it served: %w", err)
	}
	return served, nil
}

// References are images' names with the registry's.
func (r *RegistryProcess) References(images []Image) []string {
	references := make([]string, len(images))
	for i, image := range images {
		references[i] = r.Host + "/" + image.Name
	}
	return references
}

// AWSProcess is the AWS double in a process of its own, with its blocks in files.
type AWSProcess struct {
	// Environment is how other processes find it.
	Environment []string
	server      *server
}

// environmentLines is how many variables fakeaws prints.
const environmentLines = 5

// StartAWS starts an AWS double that keeps blocks in a directory.
func StartAWS(dir string) (*AWSProcess, error) {
	s, err := startServer("fakeaws", "--dir", dir)
	if err != nil {
		return nil, err
	}
	a := &AWSProcess{server: s}
	for range environmentLines {
		line, err := s.output.ReadString('\n')
		if err != nil {
			return nil, errors.Join(fmt.Errorf("starting fakeaws: %w", err), s.stop())
		}
		a.Environment = append(a.Environment, strings.TrimSpace(strings.TrimPrefix(line, "export ")))
	}
	return a, nil
}

// Stop ends the process.
func (a *AWSProcess) Stop() error { return a.server.stop() }

// measure runs a program to its end and returns what it wrote to its standard output.
func measure(ctx context.Context, environment []string, name string, arguments ...string) ([]byte, Usage, error) {
	path, err := program(name)
	if err != nil {
		return nil, Usage{}, err
	}
	command := exec.CommandContext(ctx, path, arguments...)
	command.Env = append(os.Environ(), environment...)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, Usage{}, fmt.Errorf("running %s: %w", name, err)
	}
	began := time.Now()
	if err := command.Start(); err != nil {
		return nil, Usage{}, fmt.Errorf("running %s: %w", name, err)
	}
	written, readErr := io.ReadAll(output)
	if err := errors.Join(readErr, command.Wait()); err != nil {
		return nil, Usage{}, fmt.Errorf("running %s: %w", name, err)
	}
	usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, Usage{}, fmt.Errorf("running %s: this system does not tell what it used", name)
	}
	return written, Usage{
		Wall:       time.Since(began).Seconds(),
		CPU:        (command.ProcessState.UserTime() + command.ProcessState.SystemTime()).Seconds(),
		PeakRSS:    usage.Maxrss * 1024, // the kernel counts KiB: getrusage(2)
		DiskWrites: usage.Oublock * 512, // and sectors
	}, nil
}
