package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/volume"
)

// errNeverStarted ends a build that was cancelled before it could make anything.
var errNeverStarted = errors.New("the build was cancelled before it started")

// failure is an error in the words of a condition.
type failure struct {
	reason  string
	message string
	// needsPerson means that trying again alone does not help. It is tried again nevertheless, rarely, so that a
	// pushed image or a granted permission heals without an edit.
	needsPerson bool
	// retryAfter is how long a registry asks to wait; 0 if it does not.
	retryAfter time.Duration
	err        error
}

// needsPerson has the reasons of failed attempts for which trying again alone does not help. A status has no more than
// the reason.
var needsPerson = func() map[string]bool {
	reasons := map[string]bool{
		larderv1alpha1.ReasonVolumeTooSmall:     true,
		larderv1alpha1.ReasonOutOfInodes:        true,
		larderv1alpha1.ReasonInvalidLayer:       true,
		larderv1alpha1.ReasonFormatUnfit:        true,
		larderv1alpha1.ReasonAccessDenied:       true,
		larderv1alpha1.ReasonCredentialsMissing: true,
		larderv1alpha1.ReasonKMSKeyUnusable:     true,
	}
	for _, known := range reasonsOfImages {
		reasons[known.reason] = known.needsPerson
	}
	return reasons
}()

var reasonsOfImages = map[image.Reason]failure{
	image.InvalidReference: {reason: larderv1alpha1.ReasonInvalidReference, needsPerson: true},
	image.NotFound:         {reason: larderv1alpha1.ReasonImageNotFound, needsPerson: true},
	image.Unauthorized:     {reason: larderv1alpha1.ReasonUnauthorized, needsPerson: true},
	image.PlatformMissing:  {reason: larderv1alpha1.ReasonPlatformMissing, needsPerson: true},
	image.DigestMismatch:   {reason: larderv1alpha1.ReasonDigestMismatch, needsPerson: true},
	image.Unsupported:      {reason: larderv1alpha1.ReasonImageUnsupported, needsPerson: true},
	image.Forbidden:        {reason: larderv1alpha1.ReasonForbidden, needsPerson: true},
	image.NoTagMatches:     {reason: larderv1alpha1.ReasonNoTagMatches, needsPerson: true},
	image.InvalidTagPolicy: {reason: larderv1alpha1.ReasonInvalidTagPolicy, needsPerson: true},
	image.Unreachable:      {reason: larderv1alpha1.ReasonRegistryUnreachable},
	image.TooManyRequests:  {reason: larderv1alpha1.ReasonTooManyRequests},
	image.RegistryError:    {reason: larderv1alpha1.ReasonRegistryError},
	image.Incomplete:       {reason: larderv1alpha1.ReasonRegistryError},
}

// imageFailure explains an error of a Resolver.
func imageFailure(err error) *failure {
	found, known := reasonsOfImages[image.ReasonOf(err)]
	if !known {
		found = failure{reason: larderv1alpha1.ReasonRegistryError}
		if errors.Is(err, context.DeadlineExceeded) {
			found.reason = larderv1alpha1.ReasonRegistryUnreachable
		}
	}
	var refused *image.Error
	if errors.As(err, &refused) {
		found.retryAfter = refused.RetryAfter
	}
	return found.with(err)
}

// imageFailures explains the errors of several images as one: its reason is that of the first that needs a person, or
// else of the first, and its message has all. It returns nil for none.
func imageFailures(errs []error) *failure {
	var found *failure
	var retryAfter time.Duration
	for _, err := range errs {
		if err == nil {
			continue
		}
		one := imageFailure(err)
		retryAfter = max(retryAfter, one.retryAfter)
		if found == nil || one.needsPerson && !found.needsPerson {
			found = one
		}
	}
	if found == nil {
		return nil
	}
	all := errors.Join(errs...)
	found.err, found.retryAfter = all, retryAfter
	found.message = clip(strings.ReplaceAll(all.Error(), "\n", "; "))
	return found
}

// pullSecretFailure explains an error of Registries; nil for none.
func pullSecretFailure(err error) *failure {
	if err == nil {
		return nil
	}
	var secret *PullSecretError
	return failure{reason: larderv1alpha1.ReasonInvalidPullSecret, needsPerson: errors.As(err, &secret)}.with(err)
}

// referencesFailure explains an error of References.
func referencesFailure(err error) *failure {
	if larderaws.IsCall(err) {
		return awsFailure(err)
	}
	return failure{reason: larderv1alpha1.ReasonProgressing}.with(err)
}

// awsFailure explains an error of a call to AWS; nil for none.
func awsFailure(err error) *failure {
	if err == nil {
		return nil
	}
	found := failure{}
	found.reason, found.needsPerson = message.OfAWS(err)
	return found.with(err)
}

// keyFailure explains an error of Keys.
func keyFailure(keyID string, err error) *failure {
	if larderaws.IsNotFound(err) {
		return failure{reason: larderv1alpha1.ReasonKMSKeyUnusable, needsPerson: true}.with(fmt.Errorf(
			"spec.encryption.kmsKeyID: KMS knows no key %s in this Region: check its id, ARN or alias: %w", keyID, err))
	}
	return awsFailure(fmt.Errorf("spec.encryption.kmsKeyID: %w", err))
}

// buildFailure explains an error of a Builder, the innermost cause that is known first: a volume's error wraps
// a layer's, which wraps a registry's.
func buildFailure(err error) *failure {
	switch {
	case errors.Is(err, context.Canceled):
		return failure{reason: larderv1alpha1.ReasonBuildFailed}.with(errors.New("the build was cancelled"))
	case image.ReasonOf(err) != "":
		return imageFailure(err)
	case larderaws.Classify(err) == larderaws.Stalled, larderaws.IsThrottled(err):
		return awsFailure(err)
	}
	return volumeFailure(err)
}

// volumeFailure explains an error of writing the volume. A layer whose bytes had the right digest and which can
// still not be unpacked will not be better the next time.
func volumeFailure(err error) *failure {
	var (
		small       *volume.TooSmallError
		smallest    *ext4.TooSmall
		outOfBlocks *ext4.OutOfBlocks
		outOfInodes *ext4.OutOfInodes
		limit       *layer.LimitError
		entry       *layer.EntryError
		unstorable  *ext4.UnstorableError
		format      *volume.FormatError
	)
	found := failure{needsPerson: true}
	switch {
	case errors.As(err, &small), errors.As(err, &smallest), errors.As(err, &outOfBlocks), errors.As(err, &limit):
		found.reason = larderv1alpha1.ReasonVolumeTooSmall
	case errors.As(err, &outOfInodes):
		found.reason = larderv1alpha1.ReasonOutOfInodes
	case errors.As(err, &entry), errors.As(err, &unstorable), errors.Is(err, layer.ErrContent):
		found.reason = larderv1alpha1.ReasonInvalidLayer
	case errors.As(err, &format):
		found.reason = larderv1alpha1.ReasonFormatUnfit
	default:
		found = failure{reason: larderv1alpha1.ReasonBuildFailed}
	}
	return found.with(err)
}

func (f failure) with(err error) *failure {
	f.err = err
	f.message = clip(err.Error())
	return &f
}

// clip shortens what a condition or an event is to say.
func clip(text string) string { return message.Clip(text, message.Longest) }
