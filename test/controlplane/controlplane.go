// Package controlplane gives tests a real kube-apiserver and etcd that know Larder's and Karpenter's kinds, and
// a user who may do exactly what the generated roles allow.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

const (
	assetsVariable = "KUBEBUILDER_ASSETS"
	assetsCommand  = "export " + assetsVariable + "=$(hack/envtest-assets.sh)"

	// operatorUser is the name that the operator's requests carry in tests.
	operatorUser = "larder-operator"

	// startTimeout and stopTimeout are generous: a start takes 3 s on an idle machine, and the machine may be
	// compiling.
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
)

// ControlPlane is a running API server, empty but for the kinds.
type ControlPlane struct {
	// Admin may do everything. It is for a test's own hands, never for the code under test.
	Admin client.Client
	// AdminConfig reaches the API server as Admin does.
	AdminConfig *rest.Config

	environment *envtest.Environment
	root        string
}

// Start runs a control plane with the kinds of the newest Karpenter until the test ends. It takes seconds and 330 MB: share one among subtests.
func Start(t testing.TB) *ControlPlane {
	t.Helper()
	running := StartWithoutKarpenter(t)
	running.InstallKarpenter(t, NewestKarpenter)
	return running
}

// StartWithoutKarpenter is Start for a cluster that Karpenter is not yet installed in; InstallKarpenter adds its kinds.
func StartWithoutKarpenter(t testing.TB) *ControlPlane {
	t.Helper()
	running, err := run()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	return running
}

// InstallKarpenter adds the kinds of a release to a cluster that was started without, or that has those of another, and
// waits until they are served.
func (c *ControlPlane) InstallKarpenter(t testing.TB, release KarpenterRelease) {
	t.Helper()
	if err := c.installKarpenter(release); err != nil {
		t.Fatal(err)
	}
}

// Run starts a control plane with the kinds of the newest Karpenter outside of a test; end it with Stop.
func Run() (*ControlPlane, error) {
	running, err := run()
	if err != nil {
		return nil, err
	}
	if err := running.installKarpenter(NewestKarpenter); err != nil {
		return nil, errors.Join(err, running.Stop())
	}
	return running, nil
}

// RunWithVolumeSnapshots is Run with the kinds of the CSI snapshot controller as well.
func RunWithVolumeSnapshots() (*ControlPlane, error) {
	running, err := Run()
	if err != nil {
		return nil, err
	}
	if err := running.installVolumeSnapshots(); err != nil {
		return nil, errors.Join(err, running.Stop())
	}
	return running, nil
}

func run() (*ControlPlane, error) {
	if os.Getenv(assetsVariable) == "" {
		return nil, fmt.Errorf("%s is not set, so there is no kube-apiserver to test against: run %s", assetsVariable, assetsCommand)
	}
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	existing := false // whatever USE_EXISTING_CLUSTER says: a test never touches a cluster that it did not start
	running := &ControlPlane{root: root, environment: &envtest.Environment{
		CRDDirectoryPaths:        []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing:    true,
		CRDInstallOptions:        envtest.CRDInstallOptions{MaxTime: startTimeout},
		UseExistingCluster:       &existing,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  stopTimeout,
	}}
	running.AdminConfig, err = running.environment.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), running.Stop())
	}
	running.Admin, err = client.New(running.AdminConfig, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting as admin: %w", err), running.Stop())
	}
	return running, nil
}

// installKarpenter takes the definitions as they are released but for one thing: those of 1.0 name a webhook of Karpenter's
// that converts v1beta1, which nobody runs here and nobody needs, since only v1 is used.
func (c *ControlPlane) installKarpenter(release KarpenterRelease) error {
	folder, err := karpenterCRDs(c.root, release)
	if err != nil {
		return err
	}
	released := envtest.CRDInstallOptions{Paths: []string{folder}, ErrorIfPathMissing: true}
	if err := envtest.ReadCRDFiles(&released); err != nil {
		return fmt.Errorf("reading the definitions of Karpenter %s: %w", release, err)
	}
	for _, definition := range released.CRDs {
		definition.Spec.Conversion = nil
	}
	options := envtest.CRDInstallOptions{CRDs: released.CRDs, MaxTime: startTimeout}
	if _, err := envtest.InstallCRDs(c.AdminConfig, options); err != nil {
		return fmt.Errorf("installing the definitions of Karpenter %s: %w", release, err)
	}
	return nil
}

// InstallVolumeSnapshots adds the kinds of the CSI snapshot controller, and waits until they are served.
func (c *ControlPlane) InstallVolumeSnapshots(t testing.TB) {
	t.Helper()
	if err := c.installVolumeSnapshots(); err != nil {
		t.Fatal(err)
	}
}

func (c *ControlPlane) installVolumeSnapshots() error {
	files, err := snapshotCRDs(c.root)
	if err != nil {
		return err
	}
	options := envtest.CRDInstallOptions{Paths: files, ErrorIfPathMissing: true, MaxTime: startTimeout}
	if _, err := envtest.InstallCRDs(c.AdminConfig, options); err != nil {
		return fmt.Errorf("installing the definitions of VolumeSnapshots: %w", err)
	}
	return nil
}

// Stop ends the API server and etcd; what they stored is gone.
func (c *ControlPlane) Stop() error {
	if err := c.environment.Stop(); err != nil {
		return fmt.Errorf("stopping the control plane: %w", err)
	}
	return nil
}

// Scheme knows Kubernetes' own kinds, those of CSI's snapshots, and Larder's. Karpenter's are used as unstructured objects,
// by the operator too.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(snapshotv1.AddToScheme(scheme))
	utilruntime.Must(larderv1alpha1.AddToScheme(scheme))
	return scheme
}

// Operator returns the configuration of a user who is bound to the ClusterRoles and Roles of config/rbac/role.yaml,
// which controller-gen writes, and to nothing else.
func (c *ControlPlane) Operator(t testing.TB) *rest.Config {
	t.Helper()
	user, err := c.addOperator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return user.Config()
}

// OperatorKubeconfig returns a kubeconfig file's content for the same user.
func (c *ControlPlane) OperatorKubeconfig(ctx context.Context) ([]byte, error) {
	user, err := c.addOperator(ctx)
	if err != nil {
		return nil, err
	}
	return user.KubeConfig()
}

// AdminKubeconfig returns a kubeconfig file's content for a person who may do everything.
func (c *ControlPlane) AdminKubeconfig() []byte { return c.environment.KubeConfig }

func (c *ControlPlane) addOperator(ctx context.Context) (*envtest.AuthenticatedUser, error) {
	if err := c.bindGeneratedRoles(ctx); err != nil {
		return nil, err
	}
	user, err := c.environment.AddUser(envtest.User{Name: operatorUser}, rest.CopyConfig(c.AdminConfig))
	if err != nil {
		return nil, fmt.Errorf("adding user %s: %w", operatorUser, err)
	}
	return user, nil
}

// bindGeneratedRoles may be called again: what exists is left as it is.
func (c *ControlPlane) bindGeneratedRoles(ctx context.Context) error {
	file := filepath.Join(c.root, "config", "rbac", "role.yaml")
	roles, err := readRoles(file)
	if err != nil {
		return err
	}
	for _, object := range slices.Concat(namespacesOf(roles), roles, bindingsOf(roles)) {
		if err := client.IgnoreAlreadyExists(c.Admin.Create(ctx, object)); err != nil {
			return fmt.Errorf("creating %T %s from %s: %w", object, object.GetName(), file, err)
		}
	}
	return nil
}

// namespacesOf are those that config/manager makes for namespaced roles.
func namespacesOf(roles []client.Object) []client.Object {
	var namespaces []client.Object
	for _, role := range roles {
		if name := role.GetNamespace(); name != "" {
			namespaces = append(namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
	}
	return namespaces
}

func bindingsOf(roles []client.Object) []client.Object {
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}}
	var bindings []client.Object
	for _, role := range roles {
		meta := metav1.ObjectMeta{Name: role.GetName(), Namespace: role.GetNamespace()}
		reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Name: role.GetName()}
		switch role.(type) {
		case *rbacv1.ClusterRole:
			reference.Kind = "ClusterRole"
			bindings = append(bindings, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: reference})
		case *rbacv1.Role:
			reference.Kind = "Role"
			bindings = append(bindings, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: reference})
		}
	}
	return bindings
}
