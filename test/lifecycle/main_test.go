package lifecycle

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/larder-dev/larder/test/controlplane"
)

// namespace is the operator's, as config/default has it.
const namespace = "larder-system"

// plane is shared by all tests, since it takes seconds to start; each removes what it has made.
var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // each world has a log of its own
	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	var err error
	if plane, err = controlplane.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}()
	return m.Run()
}

var (
	operatorOnce   sync.Once
	operatorConfig *rest.Config
)

// asOperator reaches the API server with exactly the generated roles, until the wire is cut.
func asOperator(t *testing.T, wire *wire) client.Client {
	t.Helper()
	operatorOnce.Do(func() {
		operatorConfig = plane.Operator(t)
		operatorConfig.QPS = -1 // a day goes by in seconds
	})
	config := rest.CopyConfig(operatorConfig)
	config.Wrap(func(transport http.RoundTripper) http.RoundTripper { return cuttable{wire, transport} })
	made, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return made
}
