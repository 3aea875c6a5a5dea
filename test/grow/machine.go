//go:build linux

package grow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/larder-dev/larder/test/grow/report"
)

const emulator = "qemu-system-x86_64"

// patience is for a machine that does not come to an end, on a host that is busy with other things.
const patience = 4 * time.Minute

// Machine is a virtual machine that boots with one disk.
type Machine struct {
	// Kernel and Initramfs are files.
	Kernel, Initramfs string
}

// Boot runs the guest on a disk file until it powers off, and returns what it reports. Its console is kept in
// directory.
func (m Machine) Boot(ctx context.Context, directory, disk string, task report.Task) (*report.Report, error) {
	if _, err := exec.LookPath(emulator); err != nil {
		return nil, fmt.Errorf("looking for a virtual machine: %w: install the package qemu-system-x86", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	console, told := filepath.Join(directory, "console"), filepath.Join(directory, "report")
	parameters := append([]string{
		"console=ttyS0", "panic=-1", "mitigations=off",
		// On a busy machine an emulated clock stands still for seconds, which says nothing about a filesystem.
		"nowatchdog", "rcupdate.rcu_cpu_stall_suppress=1", "tsc=reliable",
	}, task.Parameters()...)
	command := exec.CommandContext(ctx, emulator,
		"-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
		"-accel", "tcg", "-cpu", "qemu64,+rdrand", "-smp", "1", "-m", "512",
		"-serial", "file:"+console, "-serial", "file:"+told,
		"-kernel", m.Kernel, "-initrd", m.Initramfs, "-append", strings.Join(parameters, " "),
		// NVMe, as EBS volumes are; zeros make holes, so that terabytes cost nothing.
		"-drive", "if=none,id=volume,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file="+
			strings.ReplaceAll(disk, ",", ",,"),
		"-device", "nvme,serial=volume,drive=volume",
	)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("running %s: %w: %s%s", emulator, err, stderr.Bytes(), lastLines(console))
	}
	content, err := os.ReadFile(told)
	if err != nil {
		return nil, fmt.Errorf("reading the guest's report: %w", err)
	}
	var parsed report.Report
	if err := json.Unmarshal(content, &parsed); err != nil {
		return nil, fmt.Errorf("reading the guest's report: %w; its console ends with\n%s", err, lastLines(console))
	}
	if parsed.Failure != "" {
		return &parsed, fmt.Errorf("in the guest: %s; its console ends with\n%s", parsed.Failure, lastLines(console))
	}
	return &parsed, nil
}

// lastLines returns the end of a file, or why it cannot be read.
func lastLines(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	const most = 4 << 10
	return string(content[max(0, len(content)-most):])
}
