//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/grow/report"
)

// kernelLog is the kernel's log from some time on.
type kernelLog struct{ descriptor int }

// openKernelLog begins with what the kernel says next.
func openKernelLog() (kernelLog, error) {
	descriptor, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return kernelLog{}, fmt.Errorf("opening the kernel's log: %w", err)
	}
	if _, err := unix.Seek(descriptor, 0, unix.SEEK_END); err != nil {
		return kernelLog{}, fmt.Errorf("opening the kernel's log: %w", err)
	}
	return kernelLog{descriptor: descriptor}, nil
}

func (l kernelLog) close() { _ = unix.Close(l.descriptor) }

// read returns what the kernel said so far. A record that was overwritten before is an error.
func (l kernelLog) read() ([]report.Message, error) {
	messages := []report.Message{}
	record := make([]byte, 8192) // CONSOLE_EXT_LOG_MAX: a read with less room fails
	for {
		length, err := unix.Read(l.descriptor, record)
		if errors.Is(err, unix.EAGAIN) {
			return messages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the kernel's log: %w", err)
		}
		message, err := report.ParseMessage(string(record[:length]))
		if err != nil {
			return nil, err
		}
		messages = append(messages, message)
	}
}
