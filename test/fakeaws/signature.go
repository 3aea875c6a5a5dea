package fakeaws

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const unsignedPayload = "UNSIGNED-PAYLOAD"

// authenticate verifies the request's Signature Version 4 by signing the same request again.
func (s *Server) authenticate(r *http.Request, body []byte, call action) error {
	given := r.Header.Get("Authorization")
	parameters, ok := strings.CutPrefix(given, "AWS4-HMAC-SHA256 ")
	if !ok {
		return unauthenticated.of(call.protocol, "The request has no AWS Signature Version 4.")
	}
	fields := map[string]string{}
	for _, field := range strings.Split(parameters, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[0] != AccessKeyID {
		return unauthenticated.of(call.protocol, "The security token included in the request is invalid.")
	}
	region := regionOf(r)
	if !s.enabled(region) {
		// The Region knows nothing of the account, so it cannot say more.
		return unauthenticated.of(call.protocol, "AWS was not able to validate the provided access credentials")
	}
	if service := scope[3]; service != call.service {
		return wronglySigned.of(call.protocol, "Credential should be scoped to %s, not %s.", call.service, service)
	}
	signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return wronglySigned.of(call.protocol, "The request has no valid X-Amz-Date.")
	}
	again := onlySigned(r, strings.Split(fields["SignedHeaders"], ";"))
	err = v4.NewSigner().SignHTTP(r.Context(), aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey},
		again, payloadHash(r, body), call.service, region, signed)
	if err != nil || again.Header.Get("Authorization") != given {
		return wronglySigned.of(call.protocol, "The request signature we calculated does not match the signature you provided.")
	}
	return nil
}

// onlySigned returns a copy of the request with the header fields that its signature covers.
func onlySigned(r *http.Request, names []string) *http.Request {
	again := r.Clone(r.Context())
	again.Header = http.Header{}
	again.ContentLength = 0
	for _, name := range names {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	again.URL.Host = r.Host
	return again
}

// payloadHash is what the body signs as. Only a block goes unsigned, its checksum header is signed instead.
func payloadHash(r *http.Request, body []byte) string {
	if r.Header.Get("X-Amz-Content-Sha256") == unsignedPayload {
		return unsignedPayload
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
