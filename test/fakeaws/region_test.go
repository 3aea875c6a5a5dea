package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestOptInRegionThatIsEnabled(t *testing.T) {
	a := newAccount(t, fakeaws.Options{Regions: []string{"af-south-1"}})
	wantRegions(t, a.cfg, &ec2.DescribeRegionsInput{}, map[string]string{"af-south-1": "opted-in", "me-south-1": ""})
	if _, err := a.in("af-south-1").ec2.DescribeSnapshots(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_, err := a.in("me-south-1").ec2.DescribeSnapshots(t.Context(), nil)
	wantError(t, err, "AuthFailure", "")
}
