package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestStartSnapshotChecksItsKey(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	enabled := a.AddKey(fakeaws.Key{ID: "enabled", Aliases: []string{"alias/larder"}})
	disabled := a.AddKey(fakeaws.Key{ID: "disabled", State: fakeaws.KeyDisabled})
	dying := a.AddKey(fakeaws.Key{ID: "dying", State: fakeaws.KeyPendingDeletion})
	elsewhere := a.AddKey(fakeaws.Key{ID: "elsewhere", Region: "eu-west-1"})
	cases := map[string]struct {
		key          string
		code, reason string
	}{
		"enabled":          {enabled, "", ""},
		"the default key":  {"arn:aws:kms:us-west-2:111122223333:key/00000000-0000-0000-0000-000000000000", "", ""},
		"disabled":         {disabled, "ValidationException", "INVALID_CUSTOMER_KEY"},
		"pending deletion": {dying, "ValidationException", "INVALID_CUSTOMER_KEY"},
		"another Region's": {elsewhere, "ResourceNotFoundException", "DEPENDENCY_RESOURCE_NOT_FOUND"},
		"unknown":          {"arn:aws:kms:us-west-2:111122223333:key/none", "ResourceNotFoundException", "DEPENDENCY_RESOURCE_NOT_FOUND"},
		"no ARN":           {"alias/larder", "ValidationException", "INVALID_CUSTOMER_KEY"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(a.Snapshots())
			out, err := a.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Encrypted: aws.Bool(true), KmsKeyArn: &c.key})
			if c.code != "" {
				wantError(t, err, c.code, c.reason)
				if made := len(a.Snapshots()) - before; made != 0 {
					t.Errorf("%d snapshots were made", made)
				}
				return
			}
			if err != nil || aws.ToString(out.KmsKeyArn) != c.key {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
}
