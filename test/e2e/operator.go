package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Operator is a running `larder manager`.
type Operator struct {
	// Exited is closed when the process has ended.
	Exited  chan struct{}
	command *exec.Cmd
	err     error
}

// StartOperator starts the operator as the installed service account, with further flags; its log goes to log.
func (s *Stack) StartOperator(ctx context.Context, log io.Writer, flags ...string) (*Operator, error) {
	kubeconfig, err := s.operatorKubeconfig(ctx)
	if err != nil {
		return nil, err
	}
	command := exec.Command(s.LarderPath(), append([]string{"manager",
		"--kubeconfig", kubeconfig,
		"--metrics-bind-address", "0",
		"--health-probe-bind-address", "0",
		// An hour is for a person to step in; here, nobody does.
		"--gc-orphan-grace", "1s",
	}, flags...)...)
	command.Env = s.awsEnvironment()
	command.Stdout, command.Stderr = log, log
	// The operator goes when we do, even if we are killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the operator: %w", err)
	}
	operator := &Operator{command: command, Exited: make(chan struct{})}
	go func() {
		defer close(operator.Exited)
		operator.err = command.Wait()
	}()
	return operator, nil
}

// Kill ends the operator with SIGKILL: it can clean nothing up.
func (o *Operator) Kill() error {
	if err := o.command.Process.Kill(); err != nil {
		return fmt.Errorf("killing the operator: %w", err)
	}
	<-o.Exited
	return nil
}

// Stop asks the operator to end, as a kubelet does, and waits for it.
func (o *Operator) Stop() error {
	const grace = 30 * time.Second
	if err := o.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the operator: %w", err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-o.Exited:
		if o.err != nil {
			return fmt.Errorf("the operator ended with an error: %w", o.err)
		}
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("the operator did not end within %s", grace), o.Kill())
	}
}
