//go:build grow

package grow_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/grow"
	"github.com/larder-dev/larder/test/grow/report"
)

// busyHost is what a kernel complains of whose processor is emulated by a host with other things to do.
var busyHost = regexp.MustCompile(`^(hrtimer|clocksource|rcu|sched|workqueue): `)

// complaints are the messages that a person would have to look at.
func complaints(log []report.Message) []string {
	const warning = 4
	var found []string
	for _, message := range log {
		if message.Severity <= warning && !busyHost.MatchString(message.Text) || strings.Contains(message.Text, "fsck") {
			found = append(found, message.Text)
		}
	}
	return found
}

func checkLog(t *testing.T, log []report.Message) {
	t.Helper()
	for _, complaint := range complaints(log) {
		t.Errorf("the kernel complained: %s", complaint)
	}
	if !strings.Contains(joined(log), "resized filesystem to") {
		t.Errorf("the kernel did not say that it resized the filesystem, but %q", joined(log))
	}
}

func joined(log []report.Message) string {
	var text strings.Builder
	for _, message := range log {
		text.WriteString(message.Text + "\n")
	}
	return text.String()
}

// checkSteps compares what statfs said after each step with what was asked for.
func checkSteps(t *testing.T, told *report.Report, disk int64, task report.Task) {
	t.Helper()
	want := []int64{disk}
	if task.FirstStep != 0 {
		want = []int64{task.FirstStep, disk}
	}
	if len(told.Growths) != len(want) {
		t.Fatalf("the guest grew the filesystem %d times, want %d", len(told.Growths), len(want))
	}
	for i, growth := range told.Growths {
		// statfs does not count what inodes take, which is all that grows in proportion.
		got := growth.Bytes + growth.Inodes*inodeSize
		if off := float64(got-want[i]) / float64(want[i]); off < -0.01 || off > 0.01 {
			t.Errorf("step %d: statfs says %d bytes with inodes, want %d within 1 %%", i+1, got, want[i])
		}
	}
	for _, step := range wasteful(told.Growths) {
		t.Error(step)
	}
}

// wasteful names the steps in which the kernel wrote more than the bookkeeping of new groups and the inode tables that
// it zeroes in the background while it sends that to the disk: altogether a sixteenth of all inode tables, 1 GiB for
// 1 TiB. 55 MB were measured there, 95 MB on a busy host, and 17 GB where it zeroes all new tables before it returns.
func wasteful(growths []report.Growth) []string {
	var found []string
	for i, growth := range growths {
		if most := growth.Inodes * inodeSize / 16; growth.Written > most {
			found = append(found, fmt.Sprintf("step %d: the kernel wrote %d bytes, want at most %d", i+1, growth.Written, most))
		}
	}
	return found
}

func checkFiles(t *testing.T, got, built map[string]string, task report.Task) {
	t.Helper()
	want := maps.Clone(built)
	hash := sha256.New()
	if _, err := io.Copy(hash, report.NewFileContent()); err != nil {
		t.Fatal(err)
	}
	want[strconv.Quote(report.NewFile)] = hex.EncodeToString(hash.Sum(nil))
	if task.FillPercent > 0 {
		nothing := sha256.Sum256(nil)
		want[strconv.Quote(report.FillFile)] = hex.EncodeToString(nothing[:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files on the grown volume (-want +got):\n%s", diff)
	}
}

// checkDisk looks at the disk as the guest left it, with the files that it read.
func checkDisk(t *testing.T, disk string, size int64, built volume, files map[string]string) {
	t.Helper()
	partition, err := grow.FindPartition(t.Context(), disk)
	if err != nil {
		t.Fatal(err)
	}
	if end := partition.Offset + partition.Size; partition.Offset != built.partition.Offset || end != size-endMargin {
		t.Errorf("the partition is from %d to %d, want from %d to %d", partition.Offset, end, built.partition.Offset, size-endMargin)
	}
	if err := partition.CheckFilesystem(t.Context()); err != nil {
		t.Error(err)
	}
	grown := superblock(t, partition)
	for _, change := range changes(built.superblock, grown) {
		t.Error(change)
	}
	if got, want := grown["Block count"], strconv.FormatInt(partition.Size/blockSize, 10); got != want {
		t.Errorf("the filesystem has %s blocks, want %s", got, want)
	}
	read, err := partition.Files()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, read); diff != "" {
		t.Errorf("files that Larder's own reader finds on the grown volume (-kernel +reader):\n%s", diff)
	}
}

func superblock(t *testing.T, partition grow.Partition) map[string]string {
	t.Helper()
	fields, err := partition.Superblock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// changes names what growing must leave as it is in a superblock, and did not.
func changes(before, after map[string]string) []string {
	var found []string
	for _, label := range []string{
		"Filesystem features", "Filesystem state", "Filesystem UUID", "Directory Hash Seed",
		"Block size", "Blocks per group", "Inodes per group", "Inode size", "Flex block group size", "Total journal size",
	} {
		if after[label] != before[label] || after[label] == "" {
			found = append(found, fmt.Sprintf("%s is %q on the grown filesystem, was %q", label, after[label], before[label]))
		}
	}
	return found
}
