package fakeaws_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/larder-dev/larder/test/fakeaws"
)

// row is a behaviour of AWS that can be asked for by its API alone, of any double of AWS. Each has an account to
// itself.
type row struct {
	name string
	// motoDiffers says what moto answers instead; it is empty where moto answers as we do.
	motoDiffers string
	check       func(t *testing.T, cfg aws.Config)
}

func rows() []row {
	return slices.Concat(snapshotRows, parameterRows, registryRows, keyRows, templateRows, sourceRows, groupRows, eksRows, environmentRows, ecsRows, scalingRows)
}

func TestRows(t *testing.T) {
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			cfg := fakeaws.NewForTest(t, fakeaws.Options{}).Config()
			cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
			r.check(t, cfg)
		})
	}
}
