package lifecycle

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-containerregistry/pkg/authn"
	"k8s.io/utils/clock"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/controllers/snapshot/builder"
	"github.com/larder-dev/larder/controllers/snapshot/collection"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/ecr"
	"github.com/larder-dev/larder/internal/aws/ecs"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/internal/aws/ssm"
	"github.com/larder-dev/larder/internal/image"
)

// home is the operator's Region.
const home = "us-west-2"

// operator is one process's worth of the operator, wired as cmd does it.
type operator struct {
	reconciler *snapshot.Reconciler
	collector  *collection.Collector
	builds     *watchedBuilder
	snapshots  *ebs.Client
	// wire carries all calls to AWS until the process dies.
	wire *wire
}

// startOperator starts a process that knows nothing yet.
func (w *world) startOperator() *operator {
	w.t.Helper()
	o := &operator{wire: &wire{record: w.sent.Write}}
	client := asOperator(w.t, o.wire)
	cfg := w.aws.Config()
	cfg.HTTPClient = &http.Client{Transport: o.wire}
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.Backoff = noDelay })
	}
	cluster, err := snapshot.ClusterUID(w.t.Context(), client)
	if err != nil {
		w.t.Fatal(err)
	}
	regions := &regions{cfg: cfg, clock: w.clock, made: map[string]*region{}}
	own := regions.of(home).snapshots
	secrets := &snapshot.PullSecrets{Secrets: client, Namespace: namespace, Options: image.Options{
		Transport:  w.routes,
		Keychain:   authn.NewMultiKeychain(ecr.New(cfg, w.clock)),
		Registries: image.PlainHTTP(),
		Wait:       func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Clock:      w.clock,
		UserAgent:  "larder",
	}}
	builds := &builder.InProcess{Registries: secrets, Snapshots: own}
	o.builds = &watchedBuilder{Builder: builds, changed: make(chan struct{}, 64)}
	o.snapshots = own
	users := references.Reader{Live: client, Mapper: client.RESTMapper()}
	o.collector = &collection.Collector{
		Client: client, Live: client, References: users,
		Regions: func(region string) collection.Region {
			return collection.Region{Snapshots: regions.of(region).snapshots, Consumers: regions.of(region).consumers}
		},
		Collected: func(object *v1alpha1.ImageCacheSnapshot) { w.wake(object.Name) },
		CopiedTo:  distribution.CopiedTo, Recorder: w.events, Clock: w.clock,
		ClusterUID: cluster, Home: home, Namespace: namespace,
	}
	o.reconciler = &snapshot.Reconciler{
		Client: client, Live: client,
		Registries: w.registries(secrets), Snapshots: own, Contents: builds, Keys: regions.of(home).keys,
		Runner:     snapshot.NewRunner(o.builds, 2, w.clock),
		References: users, Consumers: regions.of(home).consumers,
		Distribution: &distribution.Distributor{
			Home: own, FastRestores: own,
			Elsewhere:  func(region string) distribution.Copies { return regions.of(region).snapshots },
			Keys:       func(region string) distribution.Keys { return regions.of(region).keys },
			Parameters: ssm.New(cfg),
			Client:     client, Reader: client, Namespace: namespace,
			Region: home, ClusterUID: cluster, Clock: w.clock,
		},
		Collection: o.collector,
		Recorder:   w.events, Clock: w.clock, ClusterUID: cluster, Region: home,
	}
	w.t.Cleanup(func() { o.kill(w.t) })
	return o
}

var noDelay = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })

// region are the clients for one Region.
type region struct {
	snapshots *ebs.Client
	keys      *kms.Client
	consumers []references.Consumers
}

// regions keep their clients, as the operator does.
type regions struct {
	cfg   aws.Config
	clock clock.PassiveClock
	mu    sync.Mutex
	made  map[string]*region
}

func (r *regions) of(name string) *region {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made[name] == nil {
		in := larderaws.InRegion(r.cfg, name)
		templates := launch.New(in)
		r.made[name] = &region{
			snapshots: ebs.New(in, ebs.Options{Clock: r.clock, Backoff: noDelay}), keys: kms.New(in),
			consumers: []references.Consumers{
				templates, eks.Uses{Groups: eks.New(in), Templates: templates}, batch.Uses{Environments: batch.New(in), Templates: templates}, ecs.New(in),
			},
		}
	}
	return r.made[name]
}

// kill ends the process as SIGKILL does: what its builds still try does not reach AWS.
func (o *operator) kill(t *testing.T) {
	t.Helper()
	o.wire.dead.Store(true)
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if err := o.reconciler.Runner.Start(stopped); err != nil {
		t.Error(err)
	}
}

// wire is an HTTP transport that can be cut. What a dead process is answered is an error that nobody repeats, and what it
// was about to be answered is lost.
type wire struct {
	dead   atomic.Bool
	record func([]byte) (int, error)
}

// RoundTrip records what is sent, but for blocks and signatures.
func (w *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	if !strings.Contains(request.URL.Path, "/blocks/") && request.Body != nil {
		content, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		request = request.Clone(request.Context())
		request.Body = io.NopCloser(bytes.NewReader(content))
		if _, err := w.record(append([]byte(request.URL.String()+"\n"), append(content, '\n')...)); err != nil {
			return nil, err
		}
	}
	return w.unlessDead(http.DefaultTransport, request)
}

func (w *wire) unlessDead(transport http.RoundTripper, request *http.Request) (*http.Response, error) {
	lost := &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: http.NoBody, Request: request}
	if w.dead.Load() {
		return lost, nil
	}
	response, err := transport.RoundTrip(request)
	if err == nil && w.dead.Load() {
		response.Body.Close()
		return lost, nil
	}
	return response, err
}

// cuttable is a wire around another transport.
type cuttable struct {
	*wire
	transport http.RoundTripper
}

// RoundTrip is the transport's until the process dies.
func (c cuttable) RoundTrip(request *http.Request) (*http.Response, error) {
	return c.unlessDead(c.transport, request)
}

// watchedBuilder tells of the steps of its builds, which run beside the passes.
type watchedBuilder struct {
	snapshot.Builder
	active  atomic.Int32
	changed chan struct{}
}

// Build is a Builder's.
func (b *watchedBuilder) Build(ctx context.Context, request snapshot.BuildRequest) (snapshot.BuildResult, error) {
	b.active.Add(1)
	started := request.Started
	request.Started = func(snapshotID string, volumeSize int64) {
		started(snapshotID, volumeSize)
		b.changed <- struct{}{}
	}
	result, err := b.Builder.Build(ctx, request)
	b.active.Add(-1)
	b.changed <- struct{}{}
	return result, err
}

// written is a buffer that several may write to.
type written struct {
	mu      sync.Mutex
	content bytes.Buffer
}

// Write never fails.
func (w *written) Write(content []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.content.Write(content)
}

// String is all that was written.
func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.content.String()
}
