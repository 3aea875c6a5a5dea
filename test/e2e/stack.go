// Package e2e puts all parts together on loopback: a real API server with Larder installed from config/default,
// the AWS double, a registry with images, and the operator as a process of its own.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/larder-dev/larder/test/controlplane"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

// Where config/default puts the operator.
const (
	operatorNamespace = "larder-system"
	operatorAccount   = "larder"
)

// Stack is everything that the operator talks to, and the operator's binary.
type Stack struct {
	*controlplane.ControlPlane
	AWS      *fakeaws.Server
	Registry *registry.Server
	// Images are the references of the registry's sample images.
	Images []string
	// Dir holds the binary and the kubeconfigs.
	Dir string
	// Kubeconfig is the file of a person who may do everything.
	Kubeconfig string

	root   string
	closed bool
	// snapshots is the CSI snapshot controller; nil unless it was asked for.
	snapshots *snapshotController
}

// Options are the moods of the parts.
type Options struct {
	AWS      fakeaws.Options
	Registry registry.Options
	// VolumeSnapshots adds the kinds of the CSI snapshot controller, and the real controller as a process of its own.
	VolumeSnapshots bool
}

// Start starts the parts and installs Larder with kubectl, as its README says. Close it, also after an error.
func Start(ctx context.Context, dir string, options Options) (*Stack, error) {
	s := &Stack{Dir: dir, Kubeconfig: filepath.Join(dir, "admin.kubeconfig")}
	var err error
	if s.root, err = controlplane.ModuleRoot(); err != nil {
		return s, err
	}
	if s.AWS, err = fakeaws.New(options.AWS); err != nil {
		return s, err
	}
	if s.Registry, err = registry.Start(options.Registry); err != nil {
		return s, err
	}
	for _, sample := range registry.Samples() {
		reference, err := s.Registry.Push(ctx, sample.Name, sample.Artifact)
		if err != nil {
			return s, err
		}
		s.Images = append(s.Images, reference)
	}
	run := controlplane.Run
	if options.VolumeSnapshots {
		run = controlplane.RunWithVolumeSnapshots
	}
	if s.ControlPlane, err = run(); err != nil {
		return s, err
	}
	if err := os.WriteFile(s.Kubeconfig, s.AdminKubeconfig(), 0o600); err != nil {
		return s, fmt.Errorf("writing the kubeconfig: %w", err)
	}
	if err := s.buildLarder(ctx); err != nil {
		return s, err
	}
	if _, err := s.Kubectl(ctx, "apply", "-k", filepath.Join(s.root, "config", "default")); err != nil {
		return s, err
	}
	if options.VolumeSnapshots {
		s.snapshots, err = s.startSnapshotController(ctx)
	}
	return s, err
}

// Close ends every part that was started.
func (s *Stack) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	if s.snapshots != nil {
		errs = append(errs, s.snapshots.stop())
	}
	if s.ControlPlane != nil {
		errs = append(errs, s.Stop())
	}
	if s.Registry != nil {
		errs = append(errs, s.Registry.Stop())
	}
	if s.AWS != nil {
		errs = append(errs, s.AWS.Close())
	}
	return errors.Join(errs...)
}

func (s *Stack) buildLarder(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.LarderPath(), "./cmd/larder")
	build.Dir = s.root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building larder: %w: %s", err, output)
	}
	return nil
}

// LarderPath is the binary's.
func (s *Stack) LarderPath() string { return filepath.Join(s.Dir, "larder") }

// KubectlPath is the kubectl of the control plane's own version.
func (s *Stack) KubectlPath() string {
	return filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl")
}

// Kubectl runs kubectl as a person who may do everything, and returns what it printed.
func (s *Stack) Kubectl(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, s.KubectlPath(), append([]string{"--kubeconfig", s.Kubeconfig}, arguments...)...)
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("kubectl %s: %w: %s", strings.Join(arguments, " "), err, output)
	}
	return string(output), nil
}

// Larder is the larder command as a person with the AWS double's credentials would run it.
func (s *Stack) Larder(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, s.LarderPath(), arguments...)
	command.Env = s.awsEnvironment()
	return command
}

func (s *Stack) awsEnvironment() []string {
	environment := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir}
	for name, value := range s.AWS.Env() {
		environment = append(environment, name+"="+value)
	}
	return environment
}

// operatorKubeconfig writes the kubeconfig of the installed service account, which is bound to the installed
// roles and to nothing else.
func (s *Stack) operatorKubeconfig(ctx context.Context) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operatorAccount}}
	token := &authenticationv1.TokenRequest{}
	if err := s.Admin.SubResource("token").Create(ctx, account, token); err != nil {
		return "", fmt.Errorf("requesting a token for the service account %s: %w", operatorAccount, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["local"] = &clientcmdapi.Cluster{
		Server:                   s.AdminConfig.Host,
		CertificateAuthorityData: s.AdminConfig.CAData,
	}
	config.AuthInfos[operatorAccount] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["local"] = &clientcmdapi.Context{Cluster: "local", AuthInfo: operatorAccount, Namespace: operatorNamespace}
	config.CurrentContext = "local"
	path := filepath.Join(s.Dir, "operator.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("writing the operator's kubeconfig: %w", err)
	}
	return path, nil
}
