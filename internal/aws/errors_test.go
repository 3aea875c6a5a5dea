package aws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

func api(code string) error { return &smithy.GenericAPIError{Code: code} }

// response is an error as the SDK wraps it: status 0 when there was no answer.
func response(status int, err error) error {
	return &smithy.OperationError{ServiceID: "EBS", OperationName: "StartSnapshot", Err: &awshttp.ResponseError{
		ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
			Err:      err,
		},
	}}
}

func TestClassify(t *testing.T) {
	cases := map[string]struct {
		reason string
		err    error
		is     func(error) bool
		want   larderaws.Class
	}{
		"EC2 denial":         {"a role must be mended", api("UnauthorizedOperation"), larderaws.IsAccessDenied, larderaws.Stalled},
		"EBS denial":         {"the SDK has a type for it", response(403, &ebstypes.AccessDeniedException{}), larderaws.IsAccessDenied, larderaws.Stalled},
		"expired token":      {"new credentials must come from outside", api("ExpiredToken"), larderaws.IsAccessDenied, larderaws.Stalled},
		"no credentials":     {"the SDK has no code for it", fmt.Errorf("get identity: %w", &larderaws.CredentialsError{Err: errors.New("none")}), larderaws.IsAccessDenied, larderaws.Stalled},
		"no STS for now":     {"the credentials may come the next time", &larderaws.CredentialsError{Err: response(0, &smithyhttp.RequestSendError{Err: errors.New("EOF")})}, nil, larderaws.Retry},
		"no metadata":        {"the last source there is", &larderaws.CredentialsError{Err: &smithy.OperationError{ServiceID: "ec2imds", Err: &smithyhttp.RequestSendError{Err: errors.New("EOF")}}}, larderaws.IsAccessDenied, larderaws.Stalled},
		"invalid parameter":  {"the same request is refused again", response(400, &ebstypes.ValidationException{}), nil, larderaws.Stalled},
		"quota":              {"only a person can raise it", api("SnapshotLimitExceeded"), nil, larderaws.Stalled},
		"EC2 throttle":       {"the SDK's own list has it", api("RequestLimitExceeded"), larderaws.IsThrottled, larderaws.Wait},
		"EBS concurrency":    {"the SDK's own list lacks it", response(400, &ebstypes.ConcurrentLimitExceededException{}), larderaws.IsThrottled, larderaws.Wait},
		"pending snapshots":  {"some of them will complete", api("PendingSnapshotLimitExceeded"), larderaws.IsThrottled, larderaws.Wait},
		"lost answer":        {"the call may have taken effect", response(0, &smithyhttp.RequestSendError{Err: errors.New("EOF")}), larderaws.IsOutcomeUnknown, larderaws.Wait},
		"server error":       {"the call may have taken effect", response(500, &ebstypes.InternalServerException{}), larderaws.IsOutcomeUnknown, larderaws.Wait},
		"EC2 server error":   {"EC2's errors have no fault, only a status", response(503, api("Unavailable")), larderaws.IsOutcomeUnknown, larderaws.Wait},
		"deadline":           {"the call may have taken effect", fmt.Errorf("starting: %w", context.DeadlineExceeded), larderaws.IsOutcomeUnknown, larderaws.Wait},
		"EC2 not found":      {"what that means is for the caller to say", api("InvalidSnapshot.NotFound"), larderaws.IsNotFound, larderaws.Retry},
		"EBS not found":      {"what that means is for the caller to say", response(404, &ebstypes.ResourceNotFoundException{}), larderaws.IsNotFound, larderaws.Retry},
		"no parameter":       {"what that means is for the caller to say", response(400, &ssmtypes.ParameterNotFound{}), larderaws.IsNotFound, larderaws.Retry},
		"no template":        {"what that means is for the caller to say", api("InvalidLaunchTemplateId.NotFound"), larderaws.IsNotFound, larderaws.Retry},
		"parameter exists":   {"whose it is, the caller must see", response(400, &ssmtypes.ParameterAlreadyExists{}), larderaws.IsAlreadyExists, larderaws.Retry},
		"parameter busy":     {"another update of it will end", response(400, &ssmtypes.TooManyUpdates{}), larderaws.IsThrottled, larderaws.Wait},
		"bad parameter name": {"the same name is refused again", response(400, &ssmtypes.HierarchyLevelLimitExceededException{}), nil, larderaws.Stalled},
		"token conflict":     {"the next attempt has another token", response(409, &ebstypes.ConflictException{}), larderaws.IsTokenConflict, larderaws.Retry},
		"no such key":        {"the key's name must be mended", response(404, &ebstypes.ResourceNotFoundException{Reason: ebstypes.ResourceNotFoundExceptionReasonDependencyResourceNotFound}), larderaws.IsKeyUnusable, larderaws.Stalled},
		"disabled key":       {"a person disabled it", response(400, &ebstypes.ValidationException{Reason: ebstypes.ValidationExceptionReasonInvalidCustomerKey}), larderaws.IsKeyUnusable, larderaws.Stalled},
		"key denied":         {"the key's policy must let us", response(403, &ebstypes.AccessDeniedException{Reason: ebstypes.AccessDeniedExceptionReasonDependencyAccessDenied}), larderaws.IsAccessDenied, larderaws.Stalled},
		"no KMS key":         {"what that means is for the caller to say", response(400, &kmstypes.NotFoundException{}), larderaws.IsNotFound, larderaws.Retry},
		"KMS: disabled key":  {"KMS has codes of its own", api("DisabledException"), larderaws.IsKeyUnusable, larderaws.Stalled},
		"copies under way":   {"some of them will complete", api("ResourceLimitExceeded"), larderaws.IsThrottled, larderaws.Wait},
		"fast restore quota": {"only a person can raise it", api("FastSnapshotRestoreLimitExceeded"), nil, larderaws.Stalled},
		"too many tags":      {"the same tags are refused again", api("TagLimitExceeded"), nil, larderaws.Stalled},
		"default key shared": {"the snapshot needs another key", api("OperationNotPermitted"), nil, larderaws.Stalled},
		"template versions":  {"only a person can delete others' versions", api("MaxTemplateVersionLimitExceeded"), larderaws.IsVersionLimit, larderaws.Stalled},
		"bad template id":    {"the same id is refused again", api("InvalidLaunchTemplateId.Malformed"), nil, larderaws.Stalled},
		"not completed":      {"it will complete", api("IncorrectState"), nil, larderaws.Wait},
		"Region disabled":    {"it must be enabled first, and knows no credentials until then", response(401, api("AuthFailure")), larderaws.IsAccessDenied, larderaws.Stalled},
		"in use":             {"the AMI may go", api("InvalidSnapshot.InUse"), larderaws.IsInUse, larderaws.Retry},
		"anything else":      {"an unknown error is tried again", errors.New("surprise"), nil, larderaws.Retry},
		"an unknown refusal": {"a 400 has no effect", response(400, api("Surprise")), nil, larderaws.Retry},
	}
	predicates := map[string]func(error) bool{
		"IsNotFound": larderaws.IsNotFound, "IsAlreadyExists": larderaws.IsAlreadyExists, "IsAccessDenied": larderaws.IsAccessDenied, "IsThrottled": larderaws.IsThrottled,
		"IsTokenConflict": larderaws.IsTokenConflict, "IsInUse": larderaws.IsInUse, "IsKeyUnusable": larderaws.IsKeyUnusable, "IsOutcomeUnknown": larderaws.IsOutcomeUnknown, "IsVersionLimit": larderaws.IsVersionLimit,
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", c.err)
			if got := larderaws.Classify(err); got != c.want {
				t.Errorf("class %s, want %s: %s", got, c.want, c.reason)
			}
			holding := 0
			for _, predicate := range predicates {
				if predicate(err) {
					holding++
				}
			}
			want := 0
			if c.is != nil {
				want = 1
				if !c.is(err) {
					t.Errorf("its predicate does not hold for %v", err)
				}
			}
			if holding != want {
				t.Errorf("%d predicates hold, want %d: the kinds exclude each other", holding, want)
			}
		})
	}
	for name, predicate := range predicates {
		if predicate(nil) {
			t.Errorf("%s(nil) holds", name)
		}
	}
}

func TestWords(t *testing.T) {
	cases := map[string]struct {
		reason string
		err    error
		want   string
	}{
		"an answer":             {"the SDK adds the request's id, which is another each time", response(403, &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "You may not."}), "UnauthorizedOperation: You may not."},
		"a denial":              {"what only STS reads is another at each try, and long", &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "You are not authorized. Encoded authorization failure message: c2VjcmV0"}, "UnauthorizedOperation: You are not authorized."},
		"an answer of one word": {"a code says something already", response(400, api("ParameterNotFound")), "ParameterNotFound"},
		"no answer":             {"the caller says what was asked", &smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeSnapshots", Err: errors.New("dial tcp: i/o timeout")}, "dial tcp: i/o timeout"},
		"no call of the SDK's":  {"there is nothing to leave out", errors.New("no Region"), "describing: no Region"},
		"no credentials": {"what to do about it stays", &larderaws.CredentialsError{Err: response(403, &smithy.GenericAPIError{Code: "AccessDenied", Message: "No."})},
			(&larderaws.CredentialsError{Err: errors.New("AccessDenied: No.")}).Error()},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := larderaws.Words(fmt.Errorf("describing: %w", c.err)); got != c.want {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestAction(t *testing.T) {
	for want, err := range map[string]error{
		"ec2:RunInstances":                 fmt.Errorf("wrapped: %w", &smithy.OperationError{ServiceID: "EC2", OperationName: "RunInstances", Err: api("AccessDenied")}),
		"autoscaling:StartInstanceRefresh": &smithy.OperationError{ServiceID: "Auto Scaling", OperationName: "StartInstanceRefresh", Err: api("AccessDenied")},
		"":                                 errors.New("no call"),
	} {
		if got := larderaws.Action(err); got != want {
			t.Errorf("%v needs %q, want %q", err, got, want)
		}
	}
}
