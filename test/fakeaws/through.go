package fakeaws

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

// ConfigThrough is Config for a process that a test can end at any request: through is called instead of each, with the name
// of its action, and send makes it. An error of through is what the process gets, whatever was answered; the SDK tries a
// request again that failed, and waits for nothing between.
func (s *Server) ConfigThrough(through func(action string, send func() error) error) aws.Config {
	cfg := s.Config()
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	gate := middleware.DeserializeMiddlewareFunc("Through", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (out middleware.DeserializeOutput, metadata middleware.Metadata, err error) {
		err = through(awsmiddleware.GetOperationName(ctx), func() error {
			out, metadata, err = next.HandleDeserialize(ctx, in)
			return err
		})
		return out, metadata, err
	})
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(gate, middleware.Before)
	})
	return cfg
}

// IsMutating tells whether an action changes something: all do that are not named for describing, getting or listing.
func IsMutating(action string) bool { return !readOnly.MatchString(action) }
