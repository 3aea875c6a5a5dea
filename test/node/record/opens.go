package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// pollMilliseconds is how long a look for further events waits.
const pollMilliseconds = 100

// opens watches which files of a filesystem are opened, by fanotify.
type opens struct {
	group int
	// paths are from the root of the filesystem, in the order of their first use.
	paths []string
	seen  map[string]bool
}

// watchOpens begins to watch the filesystem that a path is on.
func watchOpens(path string) (*opens, error) {
	// Each event comes with the file, opened once more: without waiting for a pipe's other end, or changing a time.
	group, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_UNLIMITED_QUEUE,
		unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC|unix.O_NOATIME|unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("asking the kernel for events of opened files, which needs root: %w", err)
	}
	// Executing a file and mapping a library open it, too.
	if err := unix.FanotifyMark(group, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN, unix.AT_FDCWD, path); err != nil {
		_ = unix.Close(group)
		return nil, fmt.Errorf("asking for the files that are opened below %s: %w", path, err)
	}
	return &opens{group: group, seen: map[string]bool{}}, nil
}

func (o *opens) close() { _ = unix.Close(o.group) }

// readUntil reads events until the end is told, and all that came before it.
func (o *opens) readUntil(ended <-chan error) ([]string, error) {
	events := make([]byte, 64<<10)
	over := false
	for {
		polled := []unix.PollFd{{Fd: int32(o.group), Events: unix.POLLIN}}
		ready, err := unix.Poll(polled, pollMilliseconds)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("waiting for events of opened files: %w", err)
		}
		if ready > 0 {
			if err := o.readEvents(events); err != nil {
				return nil, err
			}
			continue
		}
		if over {
			return o.paths, nil
		}
		select {
		case err := <-ended:
			if err != nil {
				return nil, err
			}
			// No more events come, so that those which are left have an end.
			if err := unix.FanotifyMark(o.group, unix.FAN_MARK_FLUSH|unix.FAN_MARK_FILESYSTEM, 0, unix.AT_FDCWD, "/"); err != nil {
				return nil, fmt.Errorf("ending the events of opened files: %w", err)
			}
			over = true
		default:
		}
	}
}

func (o *opens) readEvents(buffer []byte) error {
	n, err := unix.Read(o.group, buffer)
	if err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return nil
		}
		return fmt.Errorf("reading events of opened files: %w", err)
	}
	for rest := buffer[:n]; len(rest) > 0; {
		var event unix.FanotifyEventMetadata
		if err := binary.Read(bytes.NewReader(rest), binary.NativeEndian, &event); err != nil {
			return fmt.Errorf("reading an event of an opened file: %w", err)
		}
		if event.Vers != unix.FANOTIFY_METADATA_VERSION || int(event.Event_len) > len(rest) {
			return fmt.Errorf("the kernel's events have version %d, want %d", event.Vers, unix.FANOTIFY_METADATA_VERSION)
		}
		rest = rest[event.Event_len:]
		if event.Fd >= 0 {
			o.add(int(event.Fd))
		}
	}
	return nil
}

// add notes a regular file that still has a name, by its open descriptor, and closes that.
func (o *opens) add(descriptor int) {
	defer func() { _ = unix.Close(descriptor) }()
	var status unix.Stat_t
	if err := unix.Fstat(descriptor, &status); err != nil || status.Mode&unix.S_IFMT != unix.S_IFREG || status.Nlink == 0 {
		return
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", descriptor))
	if err != nil || o.seen[path] || strings.Contains(path, "\n") {
		return
	}
	o.seen[path] = true
	o.paths = append(o.paths, path)
}
