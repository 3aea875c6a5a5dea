package aws_test

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

func TestForControlBoundsEveryAttempt(t *testing.T) {
	for name, given := range map[string]aws.HTTPClient{"no client": nil, "the SDK's client": awshttp.NewBuildableClient()} {
		t.Run(name, func(t *testing.T) {
			client, ok := larderaws.ForControl(aws.Config{HTTPClient: given}).HTTPClient.(*awshttp.BuildableClient)
			if !ok || client.GetTimeout() <= 0 {
				t.Errorf("client %v lets an attempt run for ever", client)
			}
		})
	}
}

func TestForControlKeepsWhatItIsGiven(t *testing.T) {
	own := &http.Client{}
	cfg := larderaws.ForControl(aws.Config{HTTPClient: own, Retryer: func() aws.Retryer { return aws.NopRetryer{} }})
	if _, kept := cfg.Retryer().(aws.NopRetryer); !kept || cfg.HTTPClient != own {
		t.Errorf("retryer %T and client %T replace those that were given", cfg.Retryer(), cfg.HTTPClient)
	}
}

// The SDK's own quota of retries is empty after a hundred of them.
func TestForControlRetriesHowEverManyOthersRetried(t *testing.T) {
	retryer := larderaws.ForControl(aws.Config{}).Retryer()
	for range 10000 {
		if _, err := retryer.GetRetryToken(t.Context(), api("Throttling")); err != nil {
			t.Fatal(err)
		}
	}
}
