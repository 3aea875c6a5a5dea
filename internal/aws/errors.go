package aws

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The codes below are those of the EC2 error-code page
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html), of the models of the EBS direct API,
// SSM, KMS, ECR, Auto Scaling and ECS, and of the errors common to all AWS APIs.
var (
	notFoundCodes = []string{
		"ClusterNotFoundException",
		"InvalidLaunchTemplateId.NotFound",
		"InvalidLaunchTemplateId.VersionNotFound",
		"InvalidLaunchTemplateName.NotFoundException",
		"InvalidResourceId",
		"InvalidSnapshot.NotFound",
		"NotFoundException",
		"ParameterNotFound",
		"ResourceNotFoundException",
		"ServiceNotActiveException",
		"ServiceNotFoundException",
	}
	alreadyExistsCodes = []string{
		"ParameterAlreadyExists",
	}
	accessDeniedCodes = []string{
		"AccessDenied",
		"AccessDeniedException",
		"AuthFailure",
		"Blocked",
		"ExpiredToken",
		"ExpiredTokenException",
		"IncompleteSignature",
		"InvalidClientTokenId",
		"InvalidSignatureException",
		"MissingAuthenticationToken",
		"MissingAuthenticationTokenException",
		"NotAuthorized",
		"OptInRequired",
		"PendingVerification",
		"SignatureDoesNotMatch",
		"UnauthorizedOperation",
		"UnrecognizedClientException",
	}
	throttledCodes = []string{
		"ConcurrentLimitExceededException",
		"ConcurrentSnapshotLimitExceeded",
		"PendingSnapshotLimitExceeded",
		"RequestThrottledException",
		"ResourceLimitExceeded",
		"SnapshotCreationPerVolumeRateExceeded",
		"TooManyUpdates",
	}
	tokenConflictCodes = []string{
		"ConflictException",
		"IdempotentParameterMismatch",
	}
	// keyUnusableCodes are KMS's own, and EC2's for what KMS told it. IsKeyUnusable knows the EBS direct API's reasons.
	keyUnusableCodes = []string{
		"DisabledException",
		"InvalidKMSKey.InvalidState",
		"KMSInvalidStateException",
		"KeyUnavailableException",
	}
	// stateCodes are refusals that pass when something has changed its state, like a snapshot that completes.
	stateCodes = []string{
		"IncorrectState",
	}
	inUseCodes = []string{
		"InvalidSnapshot.InUse",
	}
	// versionLimitCodes are of launch templates. No page of AWS names them; of the templates themselves EC2 says
	// MaxTemplateLimitExceeded.
	versionLimitCodes = []string{
		"MaxTemplateVersionLimitExceeded",
		"VersionLimitExceeded",
	}
	// invalidCodes are refusals that the same request will meet again.
	invalidCodes = []string{
		"ClientException",
		"FastSnapshotRestoreLimitExceeded",
		"HierarchyLevelLimitExceededException",
		"InvalidID",
		"InvalidLaunchTemplateId.Malformed",
		"InvalidLaunchTemplateName.MalformedException",
		"InvalidParameter",
		"InvalidParameterCombination",
		"InvalidParameterDependency",
		"InvalidParameterException",
		"InvalidParameterValue",
		"InvalidRequest",
		"InvalidRequestException",
		"InvalidSnapshotID.Malformed",
		"MissingParameter",
		"OperationNotPermitted",
		"ParameterLimitExceeded",
		"ServiceQuotaExceededException",
		"SnapshotLimitExceeded",
		"TagLimitExceeded",
		"TooManyTagsError",
		"UnknownParameter",
		"ValidationError",
		"ValidationException",
	}
)

// Class is what a controller does about an AWS error.
type Class int

const (
	// Retry is a plain error: try again with backoff.
	Retry Class = iota
	// Wait means that only time helps, or that the call may have taken effect: requeue, and look before
	// doing it again.
	Wait
	// Stalled means that a person must act: grant access, mend the configuration, raise a quota.
	Stalled
)

// String names the class as in status messages.
func (c Class) String() string {
	switch c {
	case Wait:
		return "wait"
	case Stalled:
		return "stalled"
	default:
		return "retry"
	}
}

// Classify sorts an error of an AWS call. What is not recognised is retried.
func Classify(err error) Class {
	switch {
	case IsThrottled(err), IsOutcomeUnknown(err), hasCode(err, stateCodes):
		return Wait
	case IsAccessDenied(err), IsKeyUnusable(err), IsVersionLimit(err), errors.Is(err, ErrMissingRegion), hasCode(err, invalidCodes):
		return Stalled
	default:
		return Retry
	}
}

// IsNotFound tells whether AWS says that the named resource does not exist. EBS also says so of a snapshot
// that was started moments ago.
func IsNotFound(err error) bool { return hasCode(err, notFoundCodes) && !IsKeyUnusable(err) }

// IsKeyUnusable tells whether the KMS key that a call names does not exist in its Region, is disabled or is to be
// deleted. One that we may not use is a matter of access, and one that KMS itself does not find is NotFound.
func IsKeyUnusable(err error) bool {
	var absent *ebstypes.ResourceNotFoundException
	var invalid *ebstypes.ValidationException
	switch {
	case errors.As(err, &absent):
		return absent.Reason == ebstypes.ResourceNotFoundExceptionReasonDependencyResourceNotFound
	case errors.As(err, &invalid):
		return invalid.Reason == ebstypes.ValidationExceptionReasonInvalidCustomerKey
	default:
		return hasCode(err, keyUnusableCodes)
	}
}

// IsAlreadyExists tells whether the name is taken by a resource that was made before.
func IsAlreadyExists(err error) bool { return hasCode(err, alreadyExistsCodes) }

// IsAccessDenied tells whether AWS refuses us: a missing permission, or missing, wrong or expired credentials.
func IsAccessDenied(err error) bool {
	var missing *CredentialsError
	if errors.As(err, &missing) {
		return missing.permanent()
	}
	return hasCode(err, accessDeniedCodes)
}

// permanent tells whether the look-up will fail again. Credentials that STS gives out may fail to come for a
// moment; but when even the instance's metadata service was asked, no other source is configured.
func (e *CredentialsError) permanent() bool {
	var operation *smithy.OperationError
	if errors.As(e.Err, &operation) && operation.Service() == imds.ServiceID {
		return true
	}
	return !IsThrottled(e.Err) && !IsOutcomeUnknown(e.Err)
}

// IsThrottled tells whether AWS asks us to slow down, or to wait for other work of ours to end.
func IsThrottled(err error) bool {
	return hasCode(err, throttledCodes) ||
		retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err).Bool()
}

// IsTokenConflict tells whether the client token was used before with other parameters.
func IsTokenConflict(err error) bool { return hasCode(err, tokenConflictCodes) }

// IsInUse tells whether AWS keeps the resource because something else needs it: an AMI that is made of it, or fast
// restores.
func IsInUse(err error) bool { return hasCode(err, inUseCodes) }

// IsVersionLimit tells whether a launch template has as many versions as AWS allows.
func IsVersionLimit(err error) bool { return hasCode(err, versionLimitCodes) }

// IsOutcomeUnknown tells whether the call may have taken effect although it failed: the answer was lost, or
// the server failed while it worked.
func IsOutcomeUnknown(err error) bool {
	var missing *CredentialsError
	if errors.As(err, &missing) {
		// Whatever happened to the credentials, the call itself was never made.
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorFault() != smithy.FaultUnknown {
		return api.ErrorFault() == smithy.FaultServer
	}
	var sending *smithyhttp.RequestSendError
	if errors.As(err, &sending) {
		return true
	}
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() >= 500
}

// IsCall tells whether it was a call to AWS that failed, however it did.
func IsCall(err error) bool {
	var operation *smithy.OperationError
	var api smithy.APIError
	var missing *CredentialsError
	return errors.As(err, &operation) || errors.As(err, &api) || errors.As(err, &missing)
}

// Action returns the permission that a failed call needs, as a policy names it: "ec2:CreateLaunchTemplateVersion". It is
// empty for what is no call to AWS.
func Action(err error) string {
	var operation *smithy.OperationError
	if !errors.As(err, &operation) {
		return ""
	}
	service := strings.ToLower(strings.ReplaceAll(operation.Service(), " ", ""))
	return service + ":" + operation.Operation()
}

// Words returns what AWS itself says in an error, or why there was no answer. It is the same at each try: the SDK's text
// of an answer has the request's id in it.
func Words(err error) string {
	var missing *CredentialsError
	if errors.As(err, &missing) {
		return noCredentials + Words(missing.Err)
	}
	var api smithy.APIError
	var operation *smithy.OperationError
	switch {
	case errors.As(err, &api):
	case errors.As(err, &operation):
		return operation.Err.Error()
	default:
		return err.Error()
	}
	if api.ErrorMessage() == "" {
		return api.ErrorCode()
	}
	return api.ErrorCode() + ": " + Readable(api.ErrorMessage())
}

// encoded begins what only sts:DecodeAuthorizationMessage can read, which is long and another text at each try.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
const encoded = " Encoded authorization failure message:"

// Readable returns a message of AWS's as far as people can read it.
func Readable(message string) string {
	readable, _, _ := strings.Cut(message, encoded)
	return readable
}

func hasCode(err error, codes []string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}
