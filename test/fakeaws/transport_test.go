package fakeaws_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// exchange is an HTTP client that sends another block with its own checksum, after the request was signed.
type exchange struct{ other []byte }

func (e exchange) Do(r *http.Request) (*http.Response, error) {
	r.Body = io.NopCloser(bytes.NewReader(e.other))
	r.Header.Set("X-Amz-Checksum", checksum(e.other))
	return awshttp.NewBuildableClient().Do(r)
}

// statusOf is 0 for a call that got no answer.
func statusOf(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}
