package snapshot

import (
	"errors"
	"fmt"
	"testing"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/volume"
)

func TestImagesThatDoNotFitTheFormatNeedAPerson(t *testing.T) {
	err := fmt.Errorf("building: %w", &volume.FormatError{Format: volume.Files, Err: errors.New("a and b are both /c")})
	failed := buildFailure(err)
	if failed.reason != larderv1alpha1.ReasonFormatUnfit || !failed.needsPerson {
		t.Errorf("got %+v, want %s and a person", failed, larderv1alpha1.ReasonFormatUnfit)
	}
}
