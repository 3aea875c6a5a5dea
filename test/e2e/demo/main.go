// Command demo shows Larder's main job on this machine: two objects are applied, an EBS snapshot that holds
// real images comes into being, and an EC2NodeClass boots from it. With -refresh it shows what becomes of them when
// images are pushed. AWS alone is a double.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/fakeaws"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything up until interrupted")
	refresh := flag.Bool("refresh", false, "show how the snapshot follows a tag")
	flag.Parse()
	log.SetLogger(logr.Discard()) // the operator has a log of its own
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	show := (*demo).show
	if *refresh {
		show = (*demo).showRefresh
	}
	err := run(ctx, *keep, show)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep bool, show func(*demo) error) (err error) {
	dir, err := os.MkdirTemp("", "larder-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	say("Starting a kube-apiserver with Karpenter's CRDs, a registry with images and an AWS double on loopback,\nand installing Larder from config/default.")
	stack, err := e2e.Start(ctx, dir, e2e.Options{AWS: fakeaws.Options{PendingFor: 3 * time.Second, Dir: dir}})
	defer func() { err = errors.Join(err, stack.Close()) }()
	if err != nil {
		return err
	}
	operatorLog, err := os.Create(filepath.Join(dir, "operator.log"))
	if err != nil {
		return err
	}
	defer operatorLog.Close()
	operator, err := stack.StartOperator(ctx, operatorLog)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operator.Stop()) }()

	showing, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-operator.Exited
		cancel(errors.New("the operator ended"))
	}()
	d := &demo{ctx: showing, stack: stack, dir: dir}
	if err := show(d); err != nil {
		return fmt.Errorf("%w\nthe operator's log ends with:\n%s", err, lastLines(operatorLog.Name()))
	}
	if keep {
		say("Left up until you press Ctrl-C; the operator's log is %s. In another terminal:", operatorLog.Name())
		fmt.Printf("export KUBECONFIG=%s\n", stack.Kubeconfig)
		<-ctx.Done()
	}
	return nil
}

type demo struct {
	ctx   context.Context
	stack *e2e.Stack
	dir   string
}

func (d *demo) show() error {
	class, samples := filepath.Join(d.dir, "ec2nodeclass.yaml"), filepath.Join(d.dir, "samples.yaml")
	if err := errors.Join(os.WriteFile(class, []byte(e2e.NodeClass), 0o600), d.stack.WriteSamples(samples)); err != nil {
		return err
	}
	devices := []string{"get", "ec2nodeclass", "gpu", "--output", `go-template={{range .spec.blockDeviceMappings}}{{.deviceName}}  {{.ebs}}{{"\n"}}{{end}}`}

	say("An EC2NodeClass as a team might have it, with its devices:")
	if err := d.kubectl("apply", "--filename", class); err != nil {
		return err
	}
	if err := d.kubectl(devices...); err != nil {
		return err
	}
	say("What to cache and who boots from it: config/samples, with the images of the registry on this machine.")
	if err := d.kubectl("apply", "--filename", samples); err != nil {
		return err
	}
	if err := d.watchUntilReady(); err != nil {
		return err
	}
	id, err := d.stack.Kubectl(d.ctx, "get", "ics", "inference", "--output", "jsonpath={.status.snapshotID}")
	if err != nil {
		return err
	}
	say("What is inside of the snapshot, read back from its blocks:")
	fmt.Printf("$ larder inspect %s\n", id)
	inspect := d.stack.Larder(d.ctx, "inspect", id)
	inspect.Stdout, inspect.Stderr = os.Stdout, os.Stderr
	if err := inspect.Run(); err != nil {
		return fmt.Errorf("larder inspect %s: %w", id, err)
	}
	say("Both objects, and the EC2NodeClass: the data device names the snapshot, the other devices are as they were.")
	if err := d.kubectl("get", "ics,ncb"); err != nil {
		return err
	}
	return d.kubectl(devices...)
}

// kubectl shows a command as a person would type it, and what it prints.
func (d *demo) kubectl(arguments ...string) error {
	fmt.Printf("$ kubectl %s\n", strings.Join(arguments, " "))
	output, err := d.stack.Kubectl(d.ctx, arguments...)
	if err != nil {
		return err
	}
	fmt.Println(strings.TrimSpace(output))
	return nil
}

// watchUntilReady shows both objects change, in two watches side by side, until both are Ready.
func (d *demo) watchUntilReady() error {
	ctx, stopWatching := context.WithCancel(d.ctx)
	defer stopWatching()
	for _, kind := range []string{"ics", "ncb"} {
		fmt.Printf("$ kubectl get %s --watch\n", kind)
		watch := exec.CommandContext(ctx, d.stack.KubectlPath(), "--kubeconfig", d.stack.Kubeconfig, "get", kind, "--watch", "--output", "wide")
		watch.Stdout = os.Stdout
		if err := watch.Start(); err != nil {
			return fmt.Errorf("watching %s: %w", kind, err)
		}
		defer func() {
			stopWatching()
			_ = watch.Wait() // it was killed
		}()
	}
	_, err := d.stack.Kubectl(d.ctx, "wait", "--for=condition=Ready", "--timeout=5m", "ics/inference", "ncb/gpu")
	return err
}

func say(format string, arguments ...any) {
	fmt.Printf("\n\033[1m"+format+"\033[0m\n", arguments...)
}

func lastLines(path string) string {
	const lines = 20
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
