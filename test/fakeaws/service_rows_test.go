package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// ignoreUnexported compares the SDK's types by what they say.
var ignoreUnexported = cmp.FilterPath(func(path cmp.Path) bool {
	field, ok := path.Last().(cmp.StructField)
	return ok && field.Name() == "noSmithyDocumentSerde"
}, cmp.Ignore())

var parameterRows = []row{
	{
		name: "a parameter's versions are counted, and the last one is read",
		check: func(t *testing.T, cfg aws.Config) {
			store := ssm.NewFromConfig(cfg)
			for i, value := range []string{"snap-1", "snap-2"} {
				in := parameterInput("/larder/id", value)
				in.Overwrite = aws.Bool(i > 0)
				out, err := store.PutParameter(t.Context(), in)
				if err != nil || out.Version != int64(i+1) {
					t.Fatalf("version %+v, %v", out, err)
				}
				got, err := store.GetParameter(t.Context(), &ssm.GetParameterInput{Name: in.Name})
				if err != nil || aws.ToString(got.Parameter.Value) != value || got.Parameter.Version != int64(i+1) {
					t.Fatalf("parameter %+v, %v", got, err)
				}
			}
		},
	},
	{
		name: "an absent parameter is neither read nor deleted",
		check: func(t *testing.T, cfg aws.Config) {
			store := ssm.NewFromConfig(cfg)
			_, err := store.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/larder/none")})
			wantError(t, err, "ParameterNotFound", "")
			_, err = store.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String("/larder/none")})
			wantError(t, err, "ParameterNotFound", "")
		},
	},
	{
		name: "a parameter is not overwritten unasked",
		check: func(t *testing.T, cfg aws.Config) {
			store := ssm.NewFromConfig(cfg)
			if _, err := store.PutParameter(t.Context(), parameterInput("/larder/id", "snap-1")); err != nil {
				t.Fatal(err)
			}
			_, err := store.PutParameter(t.Context(), parameterInput("/larder/id", "snap-2"))
			wantError(t, err, "ParameterAlreadyExists", "")
		},
	},
	{
		name: "a parameter belongs to its Region",
		check: func(t *testing.T, cfg aws.Config) {
			if _, err := ssm.NewFromConfig(cfg).PutParameter(t.Context(), parameterInput("/larder/id", "snap-1")); err != nil {
				t.Fatal(err)
			}
			cfg.Region = "eu-west-1"
			_, err := ssm.NewFromConfig(cfg).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/larder/id")})
			wantError(t, err, "ParameterNotFound", "")
		},
	},
	{
		name: "a parameter keeps its tags when its value changes, and more can be added",
		check: func(t *testing.T, cfg aws.Config) {
			store := ssm.NewFromConfig(cfg)
			tag := func(key, value string) []ssmtypes.Tag { return []ssmtypes.Tag{{Key: &key, Value: &value}} }
			first := parameterInput("/larder/id", "snap-1")
			first.Tags = tag("team", "a")
			second := parameterInput("/larder/id", "snap-2")
			second.Overwrite = aws.Bool(true)
			for _, in := range []*ssm.PutParameterInput{first, second} {
				if _, err := store.PutParameter(t.Context(), in); err != nil {
					t.Fatal(err)
				}
			}
			_, err := store.AddTagsToResource(t.Context(), &ssm.AddTagsToResourceInput{
				ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: first.Name, Tags: tag("n", "1"),
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := store.ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: first.Name})
			if err != nil {
				t.Fatal(err)
			}
			want := append(tag("n", "1"), tag("team", "a")...)
			if diff := cmp.Diff(want, got.TagList, ignoreUnexported, cmpopts.SortSlices(func(a, b ssmtypes.Tag) bool { return *a.Key < *b.Key })); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		},
	},
	{
		name: "the tags of an absent parameter",
		check: func(t *testing.T, cfg aws.Config) {
			store := ssm.NewFromConfig(cfg)
			_, err := store.ListTagsForResource(t.Context(), &ssm.ListTagsForResourceInput{ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: aws.String("/larder/none")})
			wantError(t, err, "InvalidResourceId", "")
		},
	},
}

var registryRows = []row{
	{
		name: "a registry token is a user and a password for the Region's registry",
		check: func(t *testing.T, cfg aws.Config) {
			cfg.Region = "eu-west-1"
			out, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(out.AuthorizationData) != 1 || userOf(t, out.AuthorizationData[0].AuthorizationToken) != "AWS" {
				t.Errorf("token %+v", out.AuthorizationData)
			}
		},
	},
}

var keyRows = []row{
	{
		name: "a key that is not there",
		check: func(t *testing.T, cfg aws.Config) {
			_, err := kms.NewFromConfig(cfg).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("11111111-2222-3333-4444-555555555555")})
			wantError(t, err, "NotFoundException", "")
			_, err = kms.NewFromConfig(cfg).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/none")})
			wantError(t, err, "NotFoundException", "")
		},
	},
	{
		name:        "the grants of a key that is not there",
		motoDiffers: "it fails with a 500",
		check: func(t *testing.T, cfg aws.Config) {
			_, err := kms.NewFromConfig(cfg).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: aws.String("11111111-2222-3333-4444-555555555555")})
			wantError(t, err, "NotFoundException", "")
		},
	},
	{
		name:        "the account's key for EBS is AWS's own",
		motoDiffers: "it calls the key a customer's",
		check: func(t *testing.T, cfg aws.Config) {
			out, err := kms.NewFromConfig(cfg).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/ebs")})
			if err != nil {
				t.Fatal(err)
			}
			if out.KeyMetadata.KeyManager != kmstypes.KeyManagerTypeAws || !out.KeyMetadata.Enabled || out.KeyMetadata.KeyState != kmstypes.KeyStateEnabled {
				t.Errorf("key %+v", out.KeyMetadata)
			}
		},
	},
}
