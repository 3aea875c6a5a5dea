package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestDescribeKey(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	const id = "11111111-2222-3333-4444-555555555555"
	arn := a.AddKey(fakeaws.Key{ID: id, State: fakeaws.KeyDisabled, Aliases: []string{"alias/larder"}})
	want := &types.KeyMetadata{
		KeyId: aws.String(id), Arn: aws.String(arn), AWSAccountId: aws.String("111122223333"), KeyManager: types.KeyManagerTypeCustomer,
		KeyState: types.KeyStateDisabled, KeyUsage: types.KeyUsageTypeEncryptDecrypt, KeySpec: types.KeySpecSymmetricDefault,
		Origin: types.OriginTypeAwsKms, MultiRegion: aws.Bool(false),
	}
	client := kms.NewFromConfig(a.noRetries())
	for _, name := range []string{id, arn, "alias/larder", "arn:aws:kms:us-west-2:111122223333:alias/larder"} {
		t.Run(name, func(t *testing.T) {
			out, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &name})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, out.KeyMetadata, ignoreUnexported); diff != "" {
				t.Errorf("key (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescribeKeyOfAnotherAccount(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	arn := a.AddKey(fakeaws.Key{ID: "22222222-2222-3333-4444-555555555555", ARN: "arn:aws:kms:us-west-2:444455556666:key/22222222-2222-3333-4444-555555555555"})
	out, err := kms.NewFromConfig(a.noRetries()).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &arn})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(out.KeyMetadata.AWSAccountId); got != "444455556666" {
		t.Errorf("account %s", got)
	}
}

func TestListGrants(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	const foreign = "arn:aws:kms:us-west-2:444455556666:key/22222222-2222-3333-4444-555555555555"
	grantees := []string{"arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b", "arn:aws:iam::111122223333:role/a"}
	a.AddKey(fakeaws.Key{ID: "22222222-2222-3333-4444-555555555555", ARN: foreign, Grantees: grantees})
	client := kms.NewFromConfig(a.noRetries())
	var got []string
	in := &kms.ListGrantsInput{KeyId: aws.String(foreign), Limit: aws.Int32(2)}
	for page := 1; ; page++ {
		out, err := client.ListGrants(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, grant := range out.Grants {
			if aws.ToString(grant.KeyId) != foreign || aws.ToString(grant.IssuingAccount) != "arn:aws:iam::444455556666:root" {
				t.Errorf("grant %+v", grant)
			}
			got = append(got, aws.ToString(grant.GranteePrincipal))
		}
		if in.Marker = out.NextMarker; !out.Truncated {
			if page != 2 || in.Marker != nil {
				t.Errorf("%d pages, the last one with the marker %v", page, in.Marker)
			}
			break
		}
	}
	if diff := cmp.Diff(grantees, got); diff != "" {
		t.Errorf("grantees (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct {
		in   kms.ListGrantsInput
		want string
	}{
		"no grant a page":    {kms.ListGrantsInput{KeyId: aws.String(foreign), Limit: aws.Int32(0)}, "ValidationException"},
		"too many a page":    {kms.ListGrantsInput{KeyId: aws.String(foreign), Limit: aws.Int32(101)}, "ValidationException"},
		"a marker of no use": {kms.ListGrantsInput{KeyId: aws.String(foreign), Marker: aws.String("made up")}, "InvalidMarkerException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.ListGrants(t.Context(), &c.in)
			wantError(t, err, c.want, "")
		})
	}
}
