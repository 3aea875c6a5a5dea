// Package report is what the guest of test/grow tells its host: the one thing that both of them know.
package report

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

// DataPartition is the name by which Bottlerocket finds its data partition.
const DataPartition = "BOTTLEROCKET-DATA"

// Task is what the guest shall do beside what a node does.
type Task struct {
	// FillPercent is how much of the filesystem's free space is taken before it grows; 0 leaves it.
	FillPercent int
	// FirstStep is the size in bytes to which the filesystem grows before it grows to its partition; 0 for
	// one step.
	FirstStep int64
}

const (
	fillVariable  = "GROW_FILL_PERCENT"
	firstVariable = "GROW_FIRST_STEP"
)

// Parameters spells a task as kernel parameters: the kernel makes those that it does not know its init's
// environment.
func (t Task) Parameters() []string {
	return []string{
		fmt.Sprintf("%s=%d", fillVariable, t.FillPercent),
		fmt.Sprintf("%s=%d", firstVariable, t.FirstStep),
	}
}

// ParseTask reads a task from an environment.
func ParseTask(environment func(string) string) (Task, error) {
	fill, err := strconv.Atoi(environment(fillVariable))
	if err != nil {
		return Task{}, fmt.Errorf("reading the kernel parameter %s: %w", fillVariable, err)
	}
	first, err := strconv.ParseInt(environment(firstVariable), 10, 64)
	if err != nil {
		return Task{}, fmt.Errorf("reading the kernel parameter %s: %w", firstVariable, err)
	}
	return Task{FillPercent: fill, FirstStep: first}, nil
}

// NewFile is what the guest writes into the grown filesystem, and FillFile what it fills the filesystem with
// before, without content.
const (
	NewFile  = "written-after-growth"
	FillFile = "filled-before-growth"
)

// NewFileContent returns the bytes of NewFile: 32 MiB of noise, the same every time.
func NewFileContent() io.Reader {
	const size = 32 << 20
	return io.LimitReader(rand.NewChaCha8([32]byte{}), size)
}

// Report is what happened in the guest, one line of JSON.
type Report struct {
	// Kernel is the release of the kernel that ran.
	Kernel string `json:"kernel"`
	// Failure is why the guest gave up; empty if it came to its end.
	Failure string `json:"failure,omitempty"`
	// Before is the filesystem as it was mounted first, Growths what each step made of it, in order.
	Before  Filesystem `json:"before"`
	Growths []Growth   `json:"growths"`
	// Files has the SHA-256 of every regular file by its quoted path, read after the filesystem was unmounted
	// and mounted again.
	Files map[string]string `json:"files"`
	// Log is what the kernel said from before the first mount until after the last unmount.
	Log []Message `json:"log"`
}

// Filesystem is what statfs says.
type Filesystem struct {
	// Bytes are those for files' contents, free or not.
	Bytes int64 `json:"bytes"`
	// Inodes are free or not.
	Inodes int64 `json:"inodes"`
}

// Growth is one step.
type Growth struct {
	Filesystem
	Seconds float64 `json:"seconds"`
	// Written is what the kernel wrote to the disk meanwhile, zeros included, in bytes.
	Written int64 `json:"written"`
}

// Message is one record of the kernel's log.
type Message struct {
	// Severity is that of syslog: 0 for an emergency, 4 for a warning, 7 for debugging.
	Severity int    `json:"severity"`
	Text     string `json:"text"`
}

// ParseMessage reads one record of /dev/kmsg: "priority,sequence,microseconds,flags;text" and lines of keys.
func ParseMessage(record string) (Message, error) {
	prefix, text, found := strings.Cut(record, ";")
	priority, _, _ := strings.Cut(prefix, ",")
	value, err := strconv.Atoi(priority)
	if !found || err != nil {
		return Message{}, fmt.Errorf("reading the kernel's log: %q is not a record", record)
	}
	text, _, _ = strings.Cut(text, "\n")
	const severityMask = 7 // the bits above are the facility
	return Message{Severity: value & severityMask, Text: text}, nil
}
