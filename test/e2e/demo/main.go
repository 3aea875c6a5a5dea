// Command demo shows Larder's main job on this machine: two objects are applied, an EBS snapshot that holds
// real images comes into being, and an EC2NodeClass boots from it. With -refresh it shows what becomes of them when
// images are pushed, with -karpenter what a binding does on a pool with nodes, and with -targets what bindings do to all
// else that launches from snapshots. AWS is a double, and Karpenter's controller and the CSI driver are played.
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
	"github.com/larder-dev/larder/test/e2e/story"
	"github.com/larder-dev/larder/test/e2e/targets"
	"github.com/larder-dev/larder/test/fakeaws"
)

func main() {
	keep := flag.Bool("keep", false, "leave everything up until interrupted")
	refresh := flag.Bool("refresh", false, "show how the snapshot follows a tag")
	karpenter := flag.Bool("karpenter", false, "show what a binding does on a pool with nodes")
	others := flag.Bool("targets", false, "show what bindings do to node groups, launch templates, Batch, ECS and volumes of pods")
	flag.Parse()
	log.SetLogger(logr.Discard()) // the operator has a log of its own
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	shown := showing{show: (*demo).show, stack: func(dir string) e2e.Options {
		return e2e.Options{AWS: fakeaws.Options{PendingFor: 3 * time.Second, Dir: dir}}
	}}
	switch {
	case *refresh:
		shown.show = (*demo).showRefresh
	case *karpenter:
		shown.show, shown.flags = (*demo).showKarpenter, story.Flags()
	case *others:
		shown.show, shown.stack = (*demo).showTargets, targets.Options
	}
	err := run(ctx, *keep, shown)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// showing is what to show, on a stack whose files are in a folder, and with which further flags of the operator.
type showing struct {
	show  func(*demo) error
	stack func(dir string) e2e.Options
	flags []string
}

func run(ctx context.Context, keep bool, shown showing) (err error) {
	dir, err := os.MkdirTemp("", "larder-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	narrator := e2e.Narrator{Out: os.Stdout}
	narrator.Say("Starting a kube-apiserver with Karpenter's CRDs, a registry with images and an AWS double on loopback,\nand installing Larder from config/default.")
	stack, err := e2e.Start(ctx, dir, shown.stack(dir))
	defer func() { err = errors.Join(err, stack.Close()) }()
	if err != nil {
		return err
	}
	operatorLog, err := os.Create(filepath.Join(dir, "operator.log"))
	if err != nil {
		return err
	}
	defer operatorLog.Close()
	operator, err := stack.StartOperator(ctx, operatorLog, shown.flags...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operator.Stop()) }()

	until, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-operator.Exited
		cancel(errors.New("the operator ended"))
	}()
	narrator.Stack = stack
	d := &demo{Narrator: narrator, ctx: until, dir: dir}
	if err := shown.show(d); err != nil {
		return fmt.Errorf("%w\nthe operator's log ends with:\n%s", err, lastLines(operatorLog.Name()))
	}
	if keep {
		d.Say("Left up until you press Ctrl-C; the operator's log is %s. In another terminal:", operatorLog.Name())
		fmt.Printf("export KUBECONFIG=%s\n", stack.Kubeconfig)
		<-ctx.Done()
	}
	return nil
}

type demo struct {
	e2e.Narrator
	ctx context.Context
	dir string
}

func (d *demo) show() error {
	class, samples := filepath.Join(d.dir, "ec2nodeclass.yaml"), filepath.Join(d.dir, "samples.yaml")
	if err := errors.Join(os.WriteFile(class, []byte(e2e.NodeClass), 0o600), d.Stack.WriteSamples(samples)); err != nil {
		return err
	}
	devices := []string{"get", "ec2nodeclass", "gpu", "--output", `go-template={{range .spec.blockDeviceMappings}}{{.deviceName}}  {{.ebs}}{{"\n"}}{{end}}`}

	d.Say("An EC2NodeClass as a team might have it, with its devices:")
	if err := d.kubectl("apply", "--filename", class); err != nil {
		return err
	}
	if err := d.kubectl(devices...); err != nil {
		return err
	}
	d.Say("What to cache and who boots from it: config/samples, with the images of the registry on this machine.")
	if err := d.kubectl("apply", "--filename", samples); err != nil {
		return err
	}
	if err := d.watchUntilReady(); err != nil {
		return err
	}
	id, err := d.Stack.Kubectl(d.ctx, "get", "ics", "inference", "--output", "jsonpath={.status.snapshotID}")
	if err != nil {
		return err
	}
	d.Say("What is inside of the snapshot, read back from its blocks:")
	fmt.Printf("$ larder inspect %s\n", id)
	inspect := d.Stack.Larder(d.ctx, "inspect", id)
	inspect.Stdout, inspect.Stderr = os.Stdout, os.Stderr
	if err := inspect.Run(); err != nil {
		return fmt.Errorf("larder inspect %s: %w", id, err)
	}
	d.Say("Both objects, and the EC2NodeClass: the data device names the snapshot, the other devices are as they were.")
	if err := d.kubectl("get", "ics,ncb"); err != nil {
		return err
	}
	return d.kubectl(devices...)
}

func (d *demo) showKarpenter() error {
	told := story.New(d.Narrator, d.dir)
	for _, chapter := range story.Chapters() {
		if err := chapter.Tell(told, d.ctx); err != nil {
			return fmt.Errorf("%s: %w", chapter.Name, err)
		}
	}
	return nil
}

func (d *demo) showTargets() error {
	told := targets.New(d.Narrator, d.dir)
	for _, chapter := range targets.Chapters() {
		if err := chapter.Tell(told, d.ctx); err != nil {
			return fmt.Errorf("%s: %w", chapter.Name, err)
		}
	}
	return nil
}

// kubectl shows a command, and what it prints.
func (d *demo) kubectl(arguments ...string) error { return d.Show(d.ctx, arguments...) }

// watchUntilReady shows both objects change, in two watches side by side, until both are Ready.
func (d *demo) watchUntilReady() error {
	ctx, stopWatching := context.WithCancel(d.ctx)
	defer stopWatching()
	for _, kind := range []string{"ics", "ncb"} {
		fmt.Printf("$ kubectl get %s --watch\n", kind)
		watch := exec.CommandContext(ctx, d.Stack.KubectlPath(), "--kubeconfig", d.Stack.Kubeconfig, "get", kind, "--watch", "--output", "wide")
		watch.Stdout = os.Stdout
		if err := watch.Start(); err != nil {
			return fmt.Errorf("watching %s: %w", kind, err)
		}
		defer func() {
			stopWatching()
			_ = watch.Wait() // it was killed
		}()
	}
	_, err := d.Stack.Kubectl(d.ctx, "wait", "--for=condition=Ready", "--timeout=5m", "ics/inference", "ncb/gpu")
	return err
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
