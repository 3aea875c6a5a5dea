package ebs

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// Options tune a Client. The zero value is right for AWS.
type Options struct {
	// Workers is how many blocks an upload sends at once; each holds one buffer of BlockSize bytes. The
	// default of 64 is coldsnap's (https://github.com/awslabs/coldsnap/blob/develop/src/upload.rs), and at
	// 60 ms a block reaches the quota of about 1,000 puts a second.
	Workers int
	// PutsPerSecond is how many blocks all uploads of the Client together send in a second, repeated ones
	// counted again. The default is DefaultPutsPerSecond.
	PutsPerSecond float64
	// AttemptTimeout bounds one attempt of one call, its answer's body included. The default is 30 s.
	AttemptTimeout time.Duration
	// Backoff is the wait between attempts. The default is the SDK's exponential one, at most 5 s.
	Backoff retry.BackoffDelayer
	// Clock says when to stop retrying. The default is the system's.
	Clock clock.PassiveClock
}

// DefaultPutsPerSecond is the quota that AWS gives an account in a Region for PutSnapshotBlock, in calls a second,
// until it is raised: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html
const DefaultPutsPerSecond = 1000

const (
	defaultWorkers        = 64
	defaultAttemptTimeout = 30 * time.Second
	maxBackoff            = 5 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.PutsPerSecond <= 0 {
		o.PutsPerSecond = DefaultPutsPerSecond
	}
	if o.AttemptTimeout <= 0 {
		o.AttemptTimeout = defaultAttemptTimeout
	}
	if o.Backoff == nil {
		o.Backoff = retry.NewExponentialJitterBackoff(maxBackoff)
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Client works on the snapshots of one account in one Region. It is safe for concurrent use.
type Client struct {
	options Options
	retryer *retry.Standard
	// puts has a token for each PutSnapshotBlock that may be sent now.
	puts *rate.Limiter
	ebs  *ebs.Client
	ec2  *ec2.Client
}

// New returns a client. A configuration with an HTTP client that is not the SDK's own keeps it, and then
// bounds its attempts itself.
func New(cfg aws.Config, options Options) *Client {
	options = options.withDefaults()
	cfg.HTTPClient = boundAttempts(cfg.HTTPClient, options)
	retryer := newRetryer(options.Backoff)
	return &Client{
		options: options,
		retryer: retryer,
		// All workers may begin together; from then on the rate rules.
		puts: rate.NewLimiter(rate.Limit(options.PutsPerSecond), options.Workers),
		ebs:  ebs.NewFromConfig(cfg, func(o *ebs.Options) { o.Retryer = retryer }),
		ec2:  ec2.NewFromConfig(cfg, func(o *ec2.Options) { o.Retryer = retryer }),
	}
}

// boundAttempts keeps as many idle connections as there are workers: with the SDK's ten, most puts would
// begin with a TLS handshake.
func boundAttempts(client aws.HTTPClient, options Options) aws.HTTPClient {
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	buildable, ok := client.(*awshttp.BuildableClient)
	if !ok {
		return client
	}
	return buildable.WithTimeout(options.AttemptTimeout).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = options.Workers
		t.MaxIdleConns = max(t.MaxIdleConns, options.Workers)
	})
}
