package distribution

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

const (
	// longestCopyMessage is what the API takes in status.copies.
	longestCopyMessage = 512
)

// Problem is an error in the words of a condition.
type Problem struct {
	// Reason is a Reason constant of api/v1alpha1.
	Reason string
	// Message says what is wrong, where, and what to do.
	Message string
	// NeedsPerson means that trying again alone does not help.
	NeedsPerson bool
	// Err is the cause, or nil where a look showed the trouble without any call having failed.
	Err error
}

// awsProblem explains an error of AWS; the error itself names what and where.
func awsProblem(err error) *Problem {
	found := Problem{Message: err.Error(), Err: err}
	found.Reason, found.NeedsPerson = message.OfAWS(err)
	return &found
}

// clusterProblem explains an error of the API server.
func clusterProblem(err error) *Problem {
	found := Problem{Reason: larderv1alpha1.ReasonWriteFailed, Message: err.Error(), Err: err}
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		found.Reason, found.NeedsPerson = larderv1alpha1.ReasonWriteDenied, true
	}
	return &found
}

// needsPerson is a Problem that a look showed.
func needsPerson(reason, format string, arguments ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, arguments...), NeedsPerson: true}
}

// gravest picks the problem whose reason a condition has: the first that needs a person, or else the first.
func gravest(problems []Problem) Problem {
	for _, one := range problems {
		if one.NeedsPerson {
			return one
		}
	}
	return problems[0]
}

// joined returns what all problems say.
func joined(problems []Problem) string {
	var messages []string
	for _, one := range problems {
		messages = append(messages, one.Message)
	}
	return strings.Join(messages, "; ")
}
