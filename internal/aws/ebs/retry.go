package ebs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

const (
	// AppearsWithin is how long AWS may say of a snapshot that was just started that it does not exist
	// (https://github.com/awslabs/coldsnap/issues/43). Until then a NotFound proves nothing.
	AppearsWithin = 2 * time.Minute

	// blockPatience is how long one call of an upload or a read-back is retried. A build of many minutes
	// should survive what AWS calls a throttle or a brief outage.
	blockPatience = 2 * time.Minute

	// controlAttempts bounds the calls that reconcilers make: they requeue instead of waiting.
	controlAttempts = 4
)

// newRetryer returns the retryer of the calls that reconcilers make, all of which may be repeated.
func newRetryer(backoff retry.BackoffDelayer) *retry.Standard {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = controlAttempts
		o.Backoff = backoff
		// The SDK's quota of retry tokens is shared by all calls of a client: one burst of throttles over
		// 64 workers would empty it and fail an upload that only had to slow down. Time bounds us instead.
		o.RateLimiter = ratelimit.None
	})
}

// cautiousRetryer repeats a call only if it certainly had no effect. It is for calls that have no token and would do
// their work twice.
type cautiousRetryer struct{ *retry.Standard }

// IsErrorRetryable tells whether AWS refused the call for its rate, or was not even reached.
func (r cautiousRetryer) IsErrorRetryable(err error) bool {
	var network *net.OpError
	unsent := errors.As(err, &network) && network.Op == "dial"
	refused := retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err).Bool()
	return (unsent || refused) && r.Standard.IsErrorRetryable(err)
}

// patientRetryer retries one call until a point in time, however many attempts that takes.
type patientRetryer struct {
	*retry.Standard
	clock  clock.PassiveClock
	giveUp time.Time
	// appearsBy is until when "does not exist" may only mean "not yet".
	appearsBy time.Time
	// limiter has a token for each attempt, or is nil where no limit is known.
	//
	// The SDK's adaptive mode could find a rate by itself, but it is called experimental, starts without any
	// limit and learns by being refused; the quota is known. A throttle means that others use the account too:
	// then the wait between attempts grows.
	limiter *rate.Limiter
	// outcomeUnknown is set once an attempt failed that may have taken effect.
	outcomeUnknown atomic.Bool
}

// patient returns the retryer of one call about a snapshot; appearsBy is zero for one that is not new.
func (c *Client) patient(appearsBy time.Time) *patientRetryer {
	return &patientRetryer{
		Standard:  c.retryer,
		clock:     c.options.Clock,
		giveUp:    c.options.Clock.Now().Add(blockPatience),
		appearsBy: appearsBy,
	}
}

// MaxAttempts returns 0, which to the SDK means no limit.
func (r *patientRetryer) MaxAttempts() int { return 0 }

// GetAttemptToken is called by the SDK before each attempt and waits for that attempt's turn.
func (r *patientRetryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if r.limiter != nil {
		began := r.clock.Now()
		if err := r.limiter.Wait(ctx); err != nil {
			return nil, fmt.Errorf("waiting for its turn among %v calls a second: %w", r.limiter.Limit(), err)
		}
		// Only what AWS takes counts against our patience.
		r.giveUp = r.giveUp.Add(r.clock.Since(began))
	}
	return r.Standard.GetAttemptToken(ctx)
}

// IsErrorRetryable tells whether another attempt may help and there is time for it.
func (r *patientRetryer) IsErrorRetryable(err error) bool {
	if larderaws.IsOutcomeUnknown(err) {
		r.outcomeUnknown.Store(true)
	}
	now := r.clock.Now()
	if larderaws.IsNotFound(err) {
		return now.Before(r.appearsBy)
	}
	return now.Before(r.giveUp) && (larderaws.IsThrottled(err) || r.Standard.IsErrorRetryable(err))
}
