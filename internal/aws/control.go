package aws

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// A reconcile requeues instead of waiting, so that a call of its own is tried a few times within seconds only.
const (
	controlAttempts = 4
	controlBackoff  = 5 * time.Second
	// controlTimeout bounds an attempt. Without one an attempt whose answer never comes would hold its worker for ever.
	controlTimeout = 30 * time.Second
)

// ForControl returns the configuration for the calls that reconcilers make: the one place where they are retried. A
// configuration that has a retryer of its own keeps it, and one with an HTTP client that is not the SDK's bounds its
// attempts itself.
func ForControl(cfg aws.Config) aws.Config {
	if cfg.Retryer == nil {
		cfg.Retryer = func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = controlAttempts
				o.MaxBackoff = controlBackoff
				// The SDK's quota of retries is shared by all calls of a client: one bad minute of one object would
				// take the retries of all others. The number of attempts bounds each instead.
				o.RateLimiter = ratelimit.None
			})
		}
	}
	client := cfg.HTTPClient
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	if buildable, ok := client.(*awshttp.BuildableClient); ok {
		cfg.HTTPClient = buildable.WithTimeout(controlTimeout)
	}
	return cfg
}
