// Package controlplane gives tests a real kube-apiserver and etcd that know Larder's and Karpenter's kinds, and
// a user who may do exactly what the generated roles allow.
package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

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

// Start runs a control plane until the test ends. It takes seconds and 330 MB: share one among subtests.
func Start(t testing.TB) *ControlPlane {
	t.Helper()
	if os.Getenv(assetsVariable) == "" {
		t.Fatalf("%s is not set, so there is no kube-apiserver to test against: run %s", assetsVariable, assetsCommand)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	karpenter, err := karpenterCRDs(root)
	if err != nil {
		t.Fatal(err)
	}
	existing := false // whatever USE_EXISTING_CLUSTER says: a test never touches a cluster that it did not start
	environment := &envtest.Environment{
		CRDDirectoryPaths:        []string{filepath.Join(root, "config", "crd", "bases"), karpenter},
		ErrorIfCRDPathMissing:    true,
		UseExistingCluster:       &existing,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  stopTimeout,
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("starting the control plane: %v", err)
	}
	admin, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatalf("connecting as admin: %v", err)
	}
	return &ControlPlane{Admin: admin, AdminConfig: config, environment: environment, root: root}
}

// Scheme knows Kubernetes' own kinds and Larder's. Karpenter's are used as unstructured objects, by the
// operator too.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(larderv1alpha1.AddToScheme(scheme))
	return scheme
}

// Operator returns the configuration of a user who is bound to the ClusterRoles and Roles of config/rbac/role.yaml,
// which controller-gen writes, and to nothing else.
func (c *ControlPlane) Operator(t testing.TB) *rest.Config {
	t.Helper()
	if err := c.bindGeneratedRoles(t.Context()); err != nil {
		t.Fatal(err)
	}
	user, err := c.environment.AddUser(envtest.User{Name: operatorUser}, rest.CopyConfig(c.AdminConfig))
	if err != nil {
		t.Fatalf("adding user %s: %v", operatorUser, err)
	}
	return user.Config()
}

// bindGeneratedRoles may be called again: what exists is left as it is.
func (c *ControlPlane) bindGeneratedRoles(ctx context.Context) error {
	file := filepath.Join(c.root, "config", "rbac", "role.yaml")
	roles, err := readRoles(file)
	if err != nil {
		return err
	}
	for _, object := range append(roles, bindingsOf(roles)...) {
		if err := client.IgnoreAlreadyExists(c.Admin.Create(ctx, object)); err != nil {
			return fmt.Errorf("creating %T %s from %s: %w", object, object.GetName(), file, err)
		}
	}
	return nil
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
