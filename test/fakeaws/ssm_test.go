package fakeaws_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func storeOf(a *account) *ssm.Client { return ssm.NewFromConfig(a.noRetries()) }

// noRetries is the configuration of the account's clients.
func (a *account) noRetries() aws.Config {
	cfg := a.Config()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return cfg
}

func parameterInput(name, value string) *ssm.PutParameterInput {
	return &ssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString}
}

func TestParameterRules(t *testing.T) {
	prefix := "arn:aws:ssm:us-west-2:111122223333:parameter"
	overwrite := func(in *ssm.PutParameterInput) *ssm.PutParameterInput {
		in.Overwrite = aws.Bool(true)
		return in
	}
	tag := func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
	tagged := func(in *ssm.PutParameterInput, tags ...types.Tag) *ssm.PutParameterInput {
		in.Tags = tags
		return in
	}
	many := make([]types.Tag, 51)
	for i := range many {
		many[i] = tag(fmt.Sprint(i), "")
	}
	cases := map[string]struct {
		in   *ssm.PutParameterInput
		want string
	}{
		"a flat name":                 {parameterInput("larder", "x"), ""},
		"fifteen levels":              {parameterInput(strings.Repeat("/a", 15), "x"), ""},
		"sixteen levels":              {parameterInput(strings.Repeat("/a", 16), "x"), "HierarchyLevelLimitExceededException"},
		"levels without a slash":      {parameterInput("larder/id", "x"), "ValidationException"},
		"an empty level":              {parameterInput("/larder//id", "x"), "ValidationException"},
		"a trailing slash":            {parameterInput("/larder/", "x"), "ValidationException"},
		"a space":                     {parameterInput("/larder id", "x"), "ValidationException"},
		"reserved":                    {parameterInput("/aws/service/x", "x"), "AccessDeniedException"},
		"aws in front":                {parameterInput("AWSlarder", "x"), "ValidationException"},
		"ssm in front":                {parameterInput("/ssm-larder", "x"), "ValidationException"},
		"the longest name":            {parameterInput("/"+strings.Repeat("a", 1011-len(prefix)-1), "x"), ""},
		"a longer name":               {parameterInput("/"+strings.Repeat("a", 1011-len(prefix)), "x"), "ValidationException"},
		"the longest value":           {parameterInput("/larder", strings.Repeat("x", 4096)), ""},
		"a longer value":              {parameterInput("/larder", strings.Repeat("x", 4097)), "ValidationException"},
		"a nested parameter":          {parameterInput("/larder", "{{other}}"), "ValidationException"},
		"no type":                     {&ssm.PutParameterInput{Name: aws.String("/larder"), Value: aws.String("x")}, "ValidationException"},
		"overwriting what is not":     {overwrite(&ssm.PutParameterInput{Name: aws.String("/larder"), Value: aws.String("x")}), "ValidationException"},
		"overwriting by a type":       {overwrite(parameterInput("/larder", "x")), ""},
		"tags":                        {tagged(parameterInput("/larder", "x"), tag("a", "b")), ""},
		"tags while overwriting":      {tagged(overwrite(parameterInput("/larder", "x")), tag("a", "b")), "ValidationException"},
		"a reserved tag":              {tagged(parameterInput("/larder", "x"), tag("aws:x", "b")), "ValidationException"},
		"a long tag key":              {tagged(parameterInput("/larder", "x"), tag(strings.Repeat("k", 129), "")), "ValidationException"},
		"a long tag value":            {tagged(parameterInput("/larder", "x"), tag("k", strings.Repeat("v", 257))), "ValidationException"},
		"a tag twice":                 {tagged(parameterInput("/larder", "x"), tag("k", "1"), tag("k", "2")), "ValidationException"},
		"too many tags":               {tagged(parameterInput("/larder", "x"), many...), "TooManyTagsError"},
		"a long description":          {&ssm.PutParameterInput{Name: aws.String("/larder"), Value: aws.String("x"), Type: types.ParameterTypeString, Description: aws.String(strings.Repeat("d", 1025))}, "ValidationException"},
		"a description of good size":  {&ssm.PutParameterInput{Name: aws.String("/larder"), Value: aws.String("x"), Type: types.ParameterTypeString, Description: aws.String(strings.Repeat("d", 1024))}, ""},
		"a name with the AWS's words": {parameterInput("/larder/aws", "x"), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			_, err := storeOf(a).PutParameter(t.Context(), c.in)
			if c.want != "" {
				wantError(t, err, c.want, "")
			} else if err != nil {
				t.Error(err)
			}
			if _, made := a.Parameter(*c.in.Name); made != (c.want == "") {
				t.Errorf("made: %t, after error %v", made, err)
			}
		})
	}
}

func TestParameterOfAnotherRegionAndTags(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	a.AddParameter(fakeaws.Parameter{Name: "/aws/service/bottlerocket/image_id", Value: "ami-1", Region: "eu-west-1"})
	a.AddParameter(fakeaws.Parameter{Name: "/larder", Value: "snap-1"})
	name := aws.String("/aws/service/bottlerocket/image_id")
	_, err := storeOf(a).GetParameter(t.Context(), &ssm.GetParameterInput{Name: name})
	wantError(t, err, "ParameterNotFound", "")
	got, err := storeOf(a).GetParameter(t.Context(), &ssm.GetParameterInput{Name: name, WithDecryption: aws.Bool(true)},
		func(o *ssm.Options) { o.Region = "eu-west-1" })
	if err != nil {
		t.Fatal(err)
	}
	want := &types.Parameter{
		ARN: aws.String("arn:aws:ssm:eu-west-1:111122223333:parameter/aws/service/bottlerocket/image_id"), Name: name, Value: aws.String("ami-1"),
		Type: types.ParameterTypeString, DataType: aws.String("text"), Version: 1, LastModifiedDate: aws.Time(epoch),
	}
	if diff := cmp.Diff(want, got.Parameter, ignoreUnexported); diff != "" {
		t.Errorf("parameter (-want +got):\n%s", diff)
	}
	many := make([]types.Tag, 50)
	for i := range many {
		many[i] = types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("")}
	}
	add := func(tags ...types.Tag) error {
		_, err := storeOf(a).AddTagsToResource(t.Context(), &ssm.AddTagsToResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: aws.String("/larder"), Tags: tags})
		return err
	}
	if err := add(many...); err != nil {
		t.Fatal(err)
	}
	wantError(t, add(types.Tag{Key: aws.String("one more"), Value: aws.String("")}), "TooManyTagsError", "")
}
