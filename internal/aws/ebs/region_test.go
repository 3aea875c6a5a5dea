package ebs_test

import (
	"strings"
	"testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestRegionEnabled(t *testing.T) {
	s := newStand(t, fakeaws.Options{Regions: []string{"me-south-1"}}, ebs.Options{})
	for region, want := range map[string]bool{"us-west-2": true, "eu-west-1": true, "me-south-1": true, "af-south-1": false} {
		if got, err := s.client.RegionEnabled(t.Context(), region); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", region, got, err, want)
		}
	}
	if got, err := s.client.RegionEnabled(t.Context(), "us-west-9"); got || larderaws.Classify(err) != larderaws.Stalled || !strings.Contains(err.Error(), "us-west-9") {
		t.Errorf("a Region that is none: %v, %v", got, err)
	}
}
