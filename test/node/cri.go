//go:build linux

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/apimachinery/pkg/util/wait"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pollInterval is short, since what is asked is on this machine, and costs a millisecond.
const pollInterval = 20 * time.Millisecond

// eventLimit ends a wait for what containerd tells its CRI plugin by an event, which a busy machine is late with.
const eventLimit = time.Minute

// pullLimit ends a pull that hangs, as containerd 2.4.2 does when it cannot unpack one of several layers.
const pullLimit = 5 * time.Minute

// CRI is the part of the Container Runtime Interface that a kubelet needs to run a pod.
type CRI struct {
	connection *grpc.ClientConn
	images     runtimeapi.ImageServiceClient
	runtime    runtimeapi.RuntimeServiceClient
	logs       string
	// process is the id of containerd's.
	process int
}

// Pod is one container in a sandbox of its own, on the host's network.
type Pod struct {
	// Name is the pod's, and unique on the node.
	Name string
	// Image is a reference, as a pod spec has it; it is never pulled.
	Image string
	// Command replaces the image's entrypoint; empty keeps it.
	Command []string
}

// Result is how a container ended.
type Result struct {
	ExitCode int32
	// Log is what it wrote to both outputs, without the runtime's line headers.
	Log string
}

func dialCRI(socket, logs string, process int) (*CRI, error) {
	connection, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// The default waits a second before it tries the socket again.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: pollInterval, Multiplier: 1, MaxDelay: pollInterval},
			MinConnectTimeout: time.Second,
		}))
	if err != nil {
		return nil, fmt.Errorf("dialling CRI on %s: %w", socket, err)
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory of the pods' logs: %w", err)
	}
	return &CRI{
		connection: connection,
		images:     runtimeapi.NewImageServiceClient(connection),
		runtime:    runtimeapi.NewRuntimeServiceClient(connection),
		logs:       logs,
		process:    process,
	}, nil
}

func (c *CRI) close() { _ = c.connection.Close() }

func (c *CRI) waitUntilReady(ctx context.Context) error {
	var response *runtimeapi.StatusResponse
	var asking error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		// containerd listens before its plugin has recovered its state, and refuses requests until then.
		response, asking = c.runtime.Status(ctx, &runtimeapi.StatusRequest{}, grpc.WaitForReady(true))
		return asking == nil, nil
	})
	if err != nil {
		return fmt.Errorf("asking CRI for its status: %w", errors.Join(err, asking))
	}
	for _, condition := range response.GetStatus().GetConditions() {
		if condition.GetType() == runtimeapi.RuntimeReady && !condition.GetStatus() {
			return fmt.Errorf("CRI is not ready: %s: %s", condition.GetReason(), condition.GetMessage())
		}
	}
	return nil
}

// Images lists the images as kubelet sees them.
func (c *CRI) Images(ctx context.Context) ([]*runtimeapi.Image, error) {
	response, err := c.images.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	return response.GetImages(), nil
}

// Image finds one image by any of its names; it is nil when the node does not have it.
func (c *CRI) Image(ctx context.Context, name string) (*runtimeapi.Image, error) {
	response, err := c.images.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: name}})
	if err != nil {
		return nil, fmt.Errorf("asking for image %s: %w", name, err)
	}
	return response.GetImage(), nil
}

// WaitUntilPinned waits until CRI knows an image as pinned that a client other than kubelet brought.
func (c *CRI) WaitUntilPinned(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, eventLimit)
	defer cancel()
	var last *runtimeapi.Image
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		var err error
		last, err = c.Image(ctx, name)
		return last.GetPinned(), err
	})
	if err != nil {
		return fmt.Errorf("CRI says of %s: %v, want it pinned: %w", name, last, err)
	}
	return nil
}

// Pull pulls an image as kubelet would.
func (c *CRI) Pull(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	_, err := c.images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: name}})
	if err != nil {
		return fmt.Errorf("pulling %s: %w", name, err)
	}
	return nil
}

// Run runs a pod until its container ended, and removes it.
func (c *CRI) Run(ctx context.Context, pod Pod) (result Result, err error) {
	sandbox := c.sandboxConfig(pod)
	started, err := c.runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: sandbox})
	if err != nil {
		return Result{}, fmt.Errorf("starting the sandbox of pod %s: %w", pod.Name, err)
	}
	defer func() { err = errors.Join(err, c.removePod(context.WithoutCancel(ctx), started.GetPodSandboxId())) }()

	container, err := c.runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId:  started.GetPodSandboxId(),
		SandboxConfig: sandbox,
		Config: &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: "main"},
			Image:    &runtimeapi.ImageSpec{Image: pod.Image},
			Command:  pod.Command,
			LogPath:  "main.log",
			Linux: &runtimeapi.LinuxContainerConfig{
				SecurityContext: &runtimeapi.LinuxContainerSecurityContext{NamespaceOptions: hostNetwork()},
			},
		},
	})
	if err != nil {
		return Result{}, fmt.Errorf("creating the container of pod %s: %w", pod.Name, err)
	}
	_, err = c.runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: container.GetContainerId()})
	if err != nil {
		return Result{}, fmt.Errorf("starting the container of pod %s: %w", pod.Name, err)
	}
	if result.ExitCode, err = c.waitForExit(ctx, container.GetContainerId()); err != nil {
		return Result{}, fmt.Errorf("waiting for the container of pod %s: %w", pod.Name, err)
	}
	log := filepath.Join(sandbox.LogDirectory, "main.log")
	if err := c.waitUntilClosed(ctx, log); err != nil {
		return Result{}, fmt.Errorf("waiting for the log of pod %s: %w", pod.Name, err)
	}
	result.Log, err = readLog(log)
	return result, err
}

// WaitForContainer waits until a pod's only container, which a kubelet started, has ended.
func (c *CRI) WaitForContainer(ctx context.Context, pod string) (Result, error) {
	listed, err := c.runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return Result{}, fmt.Errorf("listing containers: %w", err)
	}
	for _, container := range listed.GetContainers() {
		if !strings.HasPrefix(container.GetLabels()["io.kubernetes.pod.name"], pod+"-") {
			continue
		}
		exitCode, err := c.waitForExit(ctx, container.GetId())
		if err != nil {
			return Result{}, fmt.Errorf("waiting for the container of pod %s: %w", pod, err)
		}
		response, err := c.runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: container.GetId()})
		if err != nil {
			return Result{}, fmt.Errorf("asking where the log of pod %s is: %w", pod, err)
		}
		log := response.GetStatus().GetLogPath()
		if err := c.waitUntilClosed(ctx, log); err != nil {
			return Result{}, fmt.Errorf("waiting for the log of pod %s: %w", pod, err)
		}
		text, err := readLog(log)
		return Result{ExitCode: exitCode, Log: text}, err
	}
	return Result{}, fmt.Errorf("CRI lists no container of pod %s", pod)
}

func (c *CRI) sandboxConfig(pod Pod) *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: pod.Name, Namespace: "default", Uid: pod.Name},
		LogDirectory: filepath.Join(c.logs, pod.Name),
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent:    "/" + os.Getenv(cgroupVariable),
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: hostNetwork()},
		},
	}
}

// hostNetwork spares the tests a network plugin.
func hostNetwork() *runtimeapi.NamespaceOption {
	return &runtimeapi.NamespaceOption{Network: runtimeapi.NamespaceMode_NODE}
}

func (c *CRI) waitForExit(ctx context.Context, container string) (exitCode int32, err error) {
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		response, err := c.runtime.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: container})
		if err != nil {
			return false, err
		}
		exitCode = response.GetStatus().GetExitCode()
		return response.GetStatus().GetState() == runtimeapi.ContainerState_CONTAINER_EXITED, nil
	})
	return exitCode, err
}

// waitUntilClosed waits until containerd no longer has a file open: it still writes a container's log after it has
// said that the container exited.
func (c *CRI) waitUntilClosed(ctx context.Context, path string) error {
	return wait.PollUntilContextCancel(ctx, pollInterval, true, func(context.Context) (bool, error) {
		descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", c.process))
		for _, descriptor := range descriptors {
			// One that cannot be read was closed since it was listed.
			if target, err := os.Readlink(descriptor); err == nil && target == path {
				return false, nil
			}
		}
		return true, err
	})
}

func (c *CRI) removeAllPods(ctx context.Context) error {
	pods, err := c.runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	var problems []error
	for _, pod := range pods.GetItems() {
		problems = append(problems, c.removePod(ctx, pod.GetId()))
	}
	return errors.Join(problems...)
}

func (c *CRI) removePod(ctx context.Context, id string) error {
	_, err := c.runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: id})
	if err != nil {
		return fmt.Errorf("stopping pod sandbox %s: %w", id, err)
	}
	_, err = c.runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: id})
	if err != nil {
		return fmt.Errorf("removing pod sandbox %s: %w", id, err)
	}
	return nil
}

// readLog takes the headers off a log in CRI's format: "<time> <stream> <F or P> <text>", P for a line that goes on.
func readLog(path string) (string, error) {
	log, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading a container's log: %w", err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(log)) {
		fields := strings.SplitN(line, " ", 4)
		if len(fields) != 4 {
			return "", fmt.Errorf("reading the container log %s: %q is not in CRI's format", path, line)
		}
		if fields[2] == "P" {
			fields[3] = strings.TrimSuffix(fields[3], "\n")
		}
		text.WriteString(fields[3])
	}
	return text.String(), nil
}
