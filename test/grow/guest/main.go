//go:build linux

// Command guest is the only process of a virtual machine, its init: it does with a data volume what a node does
// at boot, reports on the second serial port, and powers off.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/grow/report"
)

const reportPort = "/dev/ttyS1"

func main() {
	told := report.Report{}
	if err := run(&told); err != nil {
		told.Failure = err.Error()
	}
	if err := send(told); err != nil {
		fmt.Println(err) // to the console
	}
	unix.Sync()
	// It does not return; if it fails, the kernel panics as its init ends, and the machine stops just so.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run(told *report.Report) error {
	if err := mountKernelFilesystems(); err != nil {
		return err
	}
	task, err := report.ParseTask(os.Getenv)
	if err != nil {
		return err
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("asking for the kernel's release: %w", err)
	}
	told.Kernel = unix.ByteSliceToString(name.Release[:])
	volume, err := findVolume()
	if err != nil {
		return err
	}
	log, err := openKernelLog()
	if err != nil {
		return err
	}
	defer log.close()
	workErr := work(volume, task, told)
	told.Log, err = log.read()
	if workErr != nil {
		return workErr
	}
	return err
}

func mountKernelFilesystems() error {
	for _, mount := range []struct{ kind, path string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := unix.Mount(mount.kind, mount.path, mount.kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", mount.path, err)
		}
	}
	return nil
}

// work is a node's boot with the volume, what the task adds to it, and a second boot's mount.
func work(volume volume, task report.Task, told *report.Report) error {
	if err := volume.mount(); err != nil {
		return err
	}
	var err error
	if told.Before, err = filesystem(); err != nil {
		return err
	}
	if err := fill(told.Before, task.FillPercent); err != nil {
		return err
	}
	if told.Growths, err = volume.grow(task.FirstStep); err != nil {
		return err
	}
	if err := writeAfterGrowth(); err != nil {
		return err
	}
	if err := unmount(); err != nil {
		return err
	}
	if err := volume.mount(); err != nil {
		return fmt.Errorf("after growing: %w", err)
	}
	if told.Files, err = readFiles(mountpoint); err != nil {
		return err
	}
	return unmount()
}

func send(told report.Report) error {
	port, err := os.OpenFile(reportPort, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("opening the report's serial port: %w", err)
	}
	if err := json.NewEncoder(port).Encode(told); err != nil {
		return fmt.Errorf("sending the report: %w", err)
	}
	// The kernel keeps what the port has not taken yet; closing waits for it.
	if err := port.Close(); err != nil {
		return fmt.Errorf("sending the report: %w", err)
	}
	return nil
}
