//go:build grow

package grow_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larder-dev/larder/test/grow"
	"github.com/larder-dev/larder/test/grow/report"
	"github.com/larder-dev/larder/test/registry"
)

const (
	gib = 1 << 30
	// endMargin is what Bottlerocket leaves free behind its data partition, in bytes.
	endMargin = 1 << 20
	blockSize = 4096
	inodeSize = 256
)

// TestGrowth boots nodes whose disks are larger than the volume was built.
func TestGrowth(t *testing.T) {
	t.Parallel()
	machine := newMachine(t)
	built := build(t)
	cases := map[string]struct {
		reason string
		disk   int64
		task   report.Task
	}{
		"64 GiB": {
			reason: "three times the volume: a usual node",
			disk:   64 * gib,
		},
		"256 GiB": {
			reason: "the descriptors need more than the blocks that they have, so that reserved ones are taken",
			disk:   256 * gib,
		},
		"1 TiB": {
			reason: "fifty times the volume",
			disk:   1024 * gib,
		},
		"64 GiB and then 256 GiB": {
			reason: "a disk that was enlarged twice: the second growth begins with what the first one made",
			disk:   256 * gib,
			task:   report.Task{FirstStep: 64 * gib},
		},
		"64 GiB from a full volume": {
			reason: "a volume without room grows all the same",
			disk:   64 * gib,
			task:   report.Task{FillPercent: 95},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := filepath.Join(t.TempDir(), "disk.img")
			if err := grow.CopyDisk(t.Context(), built.partition.File, disk, c.disk); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			told, err := machine.Boot(t.Context(), t.TempDir(), disk, c.task)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			booted := time.Since(start)
			checkLog(t, told.Log)
			checkSteps(t, told, c.disk, c.task)
			checkFiles(t, told.Files, built.files, c.task)
			checkDisk(t, disk, c.disk, built, told.Files)
			describe(t, told, booted, time.Since(start))
		})
	}
}

// TestGrowthThatIsNotClean shows that the checks notice what they are for: the kernel complains of a filesystem that
// was mounted too often, gives one without reserved descriptor blocks another feature as it grows, and zeroes the inode
// tables of one without checksums.
func TestGrowthThatIsNotClean(t *testing.T) {
	t.Parallel()
	machine := newMachine(t)
	built := build(t)
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := grow.CopyDisk(t.Context(), built.partition.File, disk, 64*gib); err != nil {
		t.Fatal(err)
	}
	partition := built.partition
	partition.File = disk
	offset := strconv.FormatInt(partition.Offset, 10)
	run(t, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^resize_inode,^64bit,^metadata_csum", "-E", "offset="+offset,
		disk, strconv.FormatInt(partition.Size>>10, 10)+"k")
	for _, field := range []string{"mnt_count 2", "max_mnt_count 1"} {
		run(t, "debugfs", "-w", "-R", "set_super_value "+field, disk+"?offset="+offset)
	}
	before := superblock(t, partition)
	told, err := machine.Boot(t.Context(), t.TempDir(), disk, report.Task{})
	if err != nil {
		t.Fatal(err)
	}
	if len(complaints(told.Log)) == 0 {
		t.Errorf("no complaint of a filesystem that was mounted too often was found in the kernel's log:\n%s", joined(told.Log))
	}
	if len(changes(before, superblock(t, partition))) == 0 {
		t.Error("no change was found in the superblock of a filesystem without reserved descriptor blocks that grew")
	}
	if len(wasteful(told.Growths)) == 0 {
		t.Errorf("a filesystem without checksums grew and too little was written: %+v", told.Growths)
	}
}

// volume is what larder build made, and what was in it.
type volume struct {
	partition  grow.Partition
	files      map[string]string
	superblock map[string]string
}

func newMachine(t *testing.T) grow.Machine {
	t.Helper()
	kernel := os.Getenv("GUEST_KERNEL")
	if kernel == "" {
		t.Fatal("GUEST_KERNEL is not set: run make test-grow, or set it to what hack/kernel-assets.sh prints")
	}
	directory := t.TempDir()
	machine := grow.Machine{Kernel: kernel, Initramfs: filepath.Join(directory, "initramfs")}
	guest := filepath.Join(directory, "guest")
	compile(t, guest, "./guest")
	if err := grow.WriteInitramfs(t.Context(), machine.Initramfs, guest); err != nil {
		t.Fatal(err)
	}
	return machine
}

func compile(t *testing.T, binary, source string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "build", "-o", binary, source)
	command.Env = append(os.Environ(), "CGO_ENABLED=0") // the guest has no libraries but those of systemd
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", source, err, output)
	}
}

// build makes a volume of 20 GiB with the larder command.
func build(t *testing.T) volume {
	t.Helper()
	server, err := registry.Start(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	directory := t.TempDir()
	larder, disk := filepath.Join(directory, "larder"), filepath.Join(directory, "disk.img")
	compile(t, larder, "../../cmd/larder")
	arguments := []string{"build", "--platform", "linux/amd64,linux/arm64", "--volume-size", "20Gi", "--output", disk}
	for _, sample := range registry.Samples() {
		reference, err := server.Push(t.Context(), sample.Name, sample.Artifact)
		if err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--image", reference)
	}
	if output, err := exec.CommandContext(t.Context(), larder, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("larder %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	built := volume{}
	if built.partition, err = grow.FindPartition(t.Context(), disk); err != nil {
		t.Fatal(err)
	}
	built.superblock = superblock(t, built.partition)
	if built.files, err = built.partition.Files(); err != nil {
		t.Fatal(err)
	}
	return built
}

func run(t *testing.T, name string, arguments ...string) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), name, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, output)
	}
}

// describe prints what was measured, as text and as a line of JSON.
func describe(t *testing.T, told *report.Report, booted, total time.Duration) {
	t.Helper()
	line, err := json.Marshal(map[string]any{
		"case": t.Name(), "kernel": told.Kernel, "files": len(told.Files),
		"before": told.Before, "growths": told.Growths,
		"machineSeconds": booted.Seconds(), "seconds": total.Seconds(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", line)
	for _, message := range told.Log {
		t.Logf("kernel: %s", message.Text)
	}
}
