package fakeaws

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

// protocol is how a service reads its calls and writes its errors.
type protocol string

// The protocols, by their names at https://smithy.io/2.0/aws/protocols/index.html
const (
	restJSON protocol = "restJson1"
	// restMessage has the same name; the members of its errors begin with a small letter, and not those of EBS.
	restMessage protocol = "restJson1, message"
	awsJSON     protocol = "awsJson1_1"
	ec2Query    protocol = "ec2Query"
	awsQuery    protocol = "awsQuery"
)

// apiError is a refusal as AWS writes it.
type apiError struct {
	status  int
	code    string
	message string
	// reason is the EBS direct API's finer code.
	reason string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// refused is an error of a service other than EBS and EC2, which answer a refusal with 400.
func refused(code, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

func validation(reason, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "ValidationException", reason: reason, message: fmt.Sprintf(format, args...)}
}

func ec2Error(code, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

// A common failure has a status and a code of its own in every protocol.
var (
	denied = failure{
		restJSON:    {http.StatusForbidden, "AccessDeniedException"},
		restMessage: {http.StatusForbidden, "AccessDeniedException"},
		awsJSON:     {http.StatusBadRequest, "AccessDeniedException"},
		ec2Query:    {http.StatusForbidden, "UnauthorizedOperation"},
		awsQuery:    {http.StatusForbidden, "AccessDenied"},
	}
	throttled = failure{
		restJSON:    {http.StatusBadRequest, "RequestThrottledException"},
		restMessage: {http.StatusTooManyRequests, "ThrottlingException"},
		awsJSON:     {http.StatusBadRequest, "ThrottlingException"},
		ec2Query:    {http.StatusServiceUnavailable, "RequestLimitExceeded"},
		awsQuery:    {http.StatusBadRequest, "Throttling"},
	}
	failed = failure{
		restJSON:    {http.StatusInternalServerError, "InternalServerException"},
		restMessage: {http.StatusInternalServerError, "ServerException"},
		awsJSON:     {http.StatusInternalServerError, "InternalServerError"},
		ec2Query:    {http.StatusInternalServerError, "InternalError"},
		awsQuery:    {http.StatusInternalServerError, "InternalFailure"},
	}
	unauthenticated = failure{
		restJSON:    {http.StatusForbidden, "UnrecognizedClientException"},
		restMessage: {http.StatusForbidden, "UnrecognizedClientException"},
		awsJSON:     {http.StatusBadRequest, "UnrecognizedClientException"},
		ec2Query:    {http.StatusUnauthorized, "AuthFailure"},
		awsQuery:    {http.StatusForbidden, "InvalidClientTokenId"},
	}
	wronglySigned = failure{
		restJSON:    {http.StatusForbidden, "InvalidSignatureException"},
		restMessage: {http.StatusForbidden, "InvalidSignatureException"},
		awsJSON:     {http.StatusBadRequest, "InvalidSignatureException"},
		ec2Query:    {http.StatusForbidden, "SignatureDoesNotMatch"},
		awsQuery:    {http.StatusForbidden, "SignatureDoesNotMatch"},
	}
)

type failure map[protocol]struct {
	status int
	code   string
}

func (f failure) of(p protocol, format string, args ...any) *apiError {
	return &apiError{status: f[p].status, code: f[p].code, message: fmt.Sprintf(format, args...)}
}

func (p protocol) write(w http.ResponseWriter, e *apiError) {
	var body []byte
	switch p {
	case restJSON:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-ErrorType", e.code)
		fields := map[string]string{"Message": e.message}
		if e.reason != "" {
			fields["Reason"] = e.reason
		}
		// A map of strings always encodes.
		body, _ = json.Marshal(fields)
	case restMessage:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-ErrorType", e.code)
		// A map of strings always encodes.
		body, _ = json.Marshal(map[string]string{"message": e.message})
	case awsJSON:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		// A map of strings always encodes.
		body, _ = json.Marshal(map[string]string{"__type": e.code, "message": e.message})
	case awsQuery:
		w.Header().Set("Content-Type", "text/xml")
		body = []byte("<ErrorResponse><Error><Type>Sender</Type><Code>" + e.code + "</Code><Message>" + escapeXML(e.message) + "</Message></Error><RequestId>fakeaws</RequestId></ErrorResponse>")
	default:
		w.Header().Set("Content-Type", "text/xml")
		body = []byte("<Response><Errors><Error><Code>" + e.code + "</Code><Message>" + escapeXML(e.message) + "</Message></Error></Errors><RequestID>fakeaws</RequestID></Response>")
	}
	w.WriteHeader(e.status)
	// The client may be gone; there is nobody to tell.
	_, _ = w.Write(body)
}

func escapeXML(text string) string {
	var escaped strings.Builder
	// A strings.Builder never fails.
	_ = xml.EscapeText(&escaped, []byte(text))
	return escaped.String()
}
