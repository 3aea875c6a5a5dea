package fakeaws_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/test/fakeaws"
)

// putRaw puts a parameter with a body that the SDK would not write.
func (a *account) putRaw(body string) error {
	_, err := storeOf(a).PutParameter(a.t.Context(), parameterInput("/larder", "x"), func(o *ssm.Options) {
		o.APIOptions = append(o.APIOptions, edit(func(r *smithyhttp.Request) { *r = *must(r.SetStream(strings.NewReader(body))) }))
	})
	return err
}

func TestUnmodelledOfTheServicesIsLoud(t *testing.T) {
	cases := map[string]struct {
		call func(*account) error
		want string
	}{
		"an action": {func(a *account) error {
			_, err := storeOf(a).GetParameters(a.t.Context(), &ssm.GetParametersInput{Names: []string{"/larder"}})
			return err
		}, `X-Amz-Target "AmazonSSM.GetParameters"`},
		"a member that the SDK knows": {func(a *account) error {
			in := parameterInput("/larder", "x")
			in.Tier = types.ParameterTierAdvanced
			_, err := storeOf(a).PutParameter(a.t.Context(), in)
			return err
		}, "body member Tier"},
		"a kind of parameter": {func(a *account) error {
			in := parameterInput("/larder", "x")
			in.Type = types.ParameterTypeSecureString
			_, err := storeOf(a).PutParameter(a.t.Context(), in)
			return err
		}, "type SecureString"},
		"a version of a parameter": {func(a *account) error {
			_, err := storeOf(a).GetParameter(a.t.Context(), &ssm.GetParameterInput{Name: aws.String("/larder:1")})
			return err
		}, "/larder:1"},
		"another resource's tags": {func(a *account) error {
			_, err := storeOf(a).ListTagsForResource(a.t.Context(), &ssm.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingDocument, ResourceId: aws.String("x")})
			return err
		}, "type Document"},
		"a key's grant tokens": {func(a *account) error {
			_, err := kms.NewFromConfig(a.noRetries()).DescribeKey(a.t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/ebs"), GrantTokens: []string{"t"}})
			return err
		}, "body member GrantTokens"},
		"a member": {func(a *account) error { return a.putRaw(`{"Name":"/l","Value":"x","Surprise":1}`) }, "body member Surprise"},
		"a member below": {func(a *account) error {
			return a.putRaw(`{"Name":"/l","Value":"x","Tags":[{"Key":"k","Value":"v","Surprise":1}]}`)
		}, "understood"},
		"a misspelt member": {func(a *account) error { return a.putRaw(`{"Name":"/l","Value":"x","Tags":[{"key":"k","Value":"v"}]}`) }, "understood"},
		"a wrong type":      {func(a *account) error { return a.putRaw(`{"Name":"/l","Value":1}`) }, "cannot unmarshal"},
		"no JSON":           {func(a *account) error { return a.putRaw(`Name=x`) }, "no JSON object"},
		"a template's field": {func(a *account) error {
			in := &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("workers"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{KeyName: aws.String("k")}}
			_, err := a.ec2.CreateLaunchTemplate(a.t.Context(), in)
			return err
		}, "parameter LaunchTemplateData.KeyName"},
		"a group's field": {func(a *account) error {
			in := groupInput("web", specificationOf("workers", "1"))
			in.HealthCheckType = aws.String("ELB")
			_, err := scalingOf(a).CreateAutoScalingGroup(a.t.Context(), in)
			return err
		}, "parameter HealthCheckType"},
		"a group's filter": {func(a *account) error {
			_, err := scalingOf(a).DescribeAutoScalingGroups(a.t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{IncludeInstances: aws.Bool(false)})
			return err
		}, "parameter IncludeInstances"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(epoch)
			server, err := fakeaws.New(fakeaws.Options{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			}()
			server.AddParameter(fakeaws.Parameter{Name: "/larder", Value: "x"})
			wantError(t, c.call(accountOf(t, server, clock)), "UnknownOperation", "")
			if got := server.Unmodelled(); len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("unmodelled: %q, want %s", got, c.want)
			}
		})
	}
}

func TestFaultsOfTheServices(t *testing.T) {
	cases := map[fakeaws.Kind]struct {
		made   bool
		status int
		code   string
	}{
		fakeaws.Throttle:     {false, http.StatusBadRequest, "ThrottlingException"},
		fakeaws.ServerError:  {false, http.StatusInternalServerError, "InternalServerError"},
		fakeaws.Denied:       {false, http.StatusBadRequest, "AccessDeniedException"},
		fakeaws.Error:        {false, http.StatusTeapot, "Surprise"},
		fakeaws.LostResponse: {true, 0, ""},
	}
	for kind, c := range cases {
		t.Run(string(kind), func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			a.Inject(fakeaws.Fault{Action: "PutParameter", Kind: kind, Times: 1, Status: http.StatusTeapot, Code: "Surprise"})
			_, err := storeOf(a).PutParameter(t.Context(), parameterInput("/larder", "x"))
			if got := statusOf(err); err == nil || got != c.status {
				t.Errorf("status %d, want %d: %v", got, c.status, err)
			}
			if c.code != "" {
				wantError(t, err, c.code, "")
			}
			if _, made := a.Parameter("/larder"); made != c.made {
				t.Errorf("made: %t", made)
			}
		})
	}
}

func TestServicesVerifySignatures(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	cases := map[string]struct {
		as   aws.CredentialsProvider
		want string
	}{
		"wrong secret": {credentials.NewStaticCredentialsProvider(fakeaws.AccessKeyID, "wrong", ""), "InvalidSignatureException"},
		"unknown key":  {credentials.NewStaticCredentialsProvider("AKIAOTHER", fakeaws.SecretAccessKey, ""), "UnrecognizedClientException"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := server.Config()
			cfg.Credentials = c.as
			_, err := ssm.NewFromConfig(cfg).PutParameter(t.Context(), parameterInput("/larder", "x"))
			wantError(t, err, c.want, "")
		})
	}
	if _, made := server.Parameter("/larder"); made {
		t.Error("a parameter was made without a valid signature")
	}
}
