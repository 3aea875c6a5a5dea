package message

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/smithy-go"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
)

func TestClip(t *testing.T) {
	for _, longest := range []int{512, Longest, Longest + 1} {
		clipped := Clip(strings.Repeat("ü", Longest), longest)
		if len(clipped) > longest || !utf8.ValidString(clipped) || !strings.HasSuffix(clipped, "…") {
			t.Errorf("clipped to %d bytes, ending in %q", len(clipped), clipped[len(clipped)-8:])
		}
	}
	if got := Clip("short", Longest); got != "short" {
		t.Errorf("a short message was changed: %q", got)
	}
}

func TestOfAWS(t *testing.T) {
	api := func(code string) error {
		return fmt.Errorf("copying: %w", &smithy.GenericAPIError{Code: code, Message: "no"})
	}
	cases := map[string]struct {
		err         error
		reason      string
		needsPerson bool
	}{
		"no credentials": {&larderaws.CredentialsError{Err: errors.New("none")}, larderv1alpha1.ReasonCredentialsMissing, true},
		"denied":         {api("UnauthorizedOperation"), larderv1alpha1.ReasonAccessDenied, true},
		"in use":         {api("InvalidSnapshot.InUse"), larderv1alpha1.ReasonInUse, false},
		"disabled key":   {api("DisabledException"), larderv1alpha1.ReasonKMSKeyUnusable, true},
		"throttled":      {api("RequestLimitExceeded"), larderv1alpha1.ReasonAWSError, false},
		"anything else":  {errors.New("a broken pipe"), larderv1alpha1.ReasonAWSError, false},
	}
	for name, tc := range cases {
		if reason, needsPerson := OfAWS(tc.err); reason != tc.reason || needsPerson != tc.needsPerson {
			t.Errorf("%s: got %s, %v, want %s, %v", name, reason, needsPerson, tc.reason, tc.needsPerson)
		}
	}
}
