package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// snapshotController is the real CSI snapshot controller, as a process of its own.
type snapshotController struct {
	command *exec.Cmd
	log     *os.File
}

// startSnapshotController obtains the controller by hack/csi-assets.sh, which may build it, and starts it. Its log is a file
// of Dir.
func (s *Stack) startSnapshotController(ctx context.Context) (*snapshotController, error) {
	assets := exec.CommandContext(ctx, filepath.Join(s.root, "hack", "csi-assets.sh"))
	assets.Stderr = os.Stderr
	folder, err := assets.Output()
	if err != nil {
		return nil, fmt.Errorf("obtaining the CSI snapshot controller by hack/csi-assets.sh: %w", err)
	}
	log, err := os.Create(filepath.Join(s.Dir, "snapshot-controller.log"))
	if err != nil {
		return nil, fmt.Errorf("making a log for the CSI snapshot controller: %w", err)
	}
	// The kinds of group snapshots, for which it waits otherwise, are not installed.
	command := exec.Command(filepath.Join(strings.TrimSpace(string(folder)), "snapshot-controller"),
		"--kubeconfig="+s.Kubeconfig, "--retry-crd-interval-max=1s", "--retry-interval-start=100ms")
	command.Stdout, command.Stderr = log, log
	// The controller goes when we do, even if we are killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("starting the CSI snapshot controller: %w", err)
	}
	return &snapshotController{command: command, log: log}, nil
}

// stop ends the controller at once: it holds nothing that is not in the API server.
func (c *snapshotController) stop() error {
	if err := c.command.Process.Kill(); err != nil {
		return fmt.Errorf("stopping the CSI snapshot controller: %w", err)
	}
	_ = c.command.Wait() // it was killed
	return c.log.Close()
}
