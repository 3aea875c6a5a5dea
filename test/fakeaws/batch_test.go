package fakeaws_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

const replacing = 20 * time.Minute

// newEnvironment makes a valid environment, "gpu", and the templates "workers" and "gpus" of three versions each.
func newEnvironment(t *testing.T, in *batch.CreateComputeEnvironmentInput) (*account, *batch.Client) {
	t.Helper()
	a := newAccount(t, fakeaws.Options{ComputeEnvironmentFor: replacing})
	snapshot := a.AddSnapshot(fakeaws.Snapshot{})
	for _, name := range []string{"workers", "gpus"} {
		makeTemplate(t, a.noRetries(), name, snapshot, snapshot, "snap-00000000000000bad")
	}
	client := batch.NewFromConfig(a.noRetries())
	if _, err := client.CreateComputeEnvironment(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	a.pass(replacing)
	return a, client
}

func batchTemplate(name, version string, overrides ...types.LaunchTemplateSpecificationOverride) *types.LaunchTemplateSpecification {
	return &types.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: &version, Overrides: overrides}
}

func batchOverride(name, version string, instanceTypes ...string) types.LaunchTemplateSpecificationOverride {
	return types.LaunchTemplateSpecificationOverride{LaunchTemplateName: &name, Version: &version, TargetInstanceTypes: instanceTypes}
}

func updateInput(template *types.LaunchTemplateSpecification) *batch.UpdateComputeEnvironmentInput {
	return &batch.UpdateComputeEnvironmentInput{ComputeEnvironment: aws.String("gpu"), ComputeResources: &types.ComputeResourceUpdate{LaunchTemplate: template}}
}

func TestEnvironmentsArePaged(t *testing.T) {
	a, client := newEnvironment(t, environmentInput("gpu", nil))
	for i := range 3 {
		if _, err := client.CreateComputeEnvironment(t.Context(), environmentInput(fmt.Sprintf("more-%d", i), nil)); err != nil {
			t.Fatal(err)
		}
	}
	names := map[string]bool{}
	for pages := batch.NewDescribeComputeEnvironmentsPaginator(client, &batch.DescribeComputeEnvironmentsInput{MaxResults: aws.Int32(3)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.ComputeEnvironments {
			names[*one.ComputeEnvironmentName] = true
		}
	}
	if calls := a.Calls("DescribeComputeEnvironments"); len(names) != 4 || calls != 2 {
		t.Errorf("%d environments in %d pages, want 4 in 2", len(names), calls)
	}
	_, err := client.DescribeComputeEnvironments(t.Context(), &batch.DescribeComputeEnvironmentsInput{MaxResults: aws.Int32(101)})
	wantError(t, err, "ClientException", "")
	_, err = client.DescribeComputeEnvironments(t.Context(), &batch.DescribeComputeEnvironmentsInput{NextToken: aws.String("x")})
	wantError(t, err, "ClientException", "")
}

// An update takes its time, is the only one meanwhile, and is the one time that $Latest and $Default are looked up.
func TestAnUpdateReplacesTheInstances(t *testing.T) {
	a, client := newEnvironment(t, environmentInput("gpu", batchTemplate("workers", "1", batchOverride("gpus", "$Default", "g5"))))
	if _, err := client.UpdateComputeEnvironment(t.Context(), updateInput(batchTemplate("workers", "2", batchOverride("gpus", "2", "g5")))); err != nil {
		t.Fatal(err)
	}
	for _, another := range []*batch.UpdateComputeEnvironmentInput{updateInput(batchTemplate("workers", "1")), {ComputeEnvironment: aws.String("gpu"), State: types.CEStateDisabled}} {
		_, err := client.UpdateComputeEnvironment(t.Context(), another)
		wantError(t, err, "ClientException", "")
	}
	got := describeEnvironments(t, a.noRetries(), "gpu")[0]
	if got.Status != types.CEStatusUpdating || *got.ComputeResources.LaunchTemplate.Version != "2" || *got.ComputeResources.LaunchTemplate.Overrides[0].Version != "2" {
		t.Errorf("during the update: %s %+v", got.Status, got.ComputeResources.LaunchTemplate)
	}
	launched := func() []fakeaws.LaunchedTemplate { return a.ComputeEnvironments()[0].Launches }
	workers, gpus := launched()[0].TemplateID, launched()[1].TemplateID
	if diff := cmp.Diff([]fakeaws.LaunchedTemplate{{TemplateID: workers, Version: 1}, {TemplateID: gpus, Version: 1, InstanceTypes: "g5"}}, launched()); diff != "" {
		t.Errorf("before the update has ended (-want +got):\n%s", diff)
	}
	a.pass(replacing)
	if diff := cmp.Diff([]fakeaws.LaunchedTemplate{{TemplateID: workers, Version: 2}, {TemplateID: gpus, Version: 2, InstanceTypes: "g5"}}, launched()); diff != "" {
		t.Errorf("after it (-want +got):\n%s", diff)
	}
	if _, err := client.UpdateComputeEnvironment(t.Context(), updateInput(batchTemplate("workers", "2"))); err != nil {
		t.Fatal(err)
	}
	a.pass(replacing)
	if got := launched(); len(got) != 1 {
		t.Errorf("an override that an update leaves out is still there: %+v", got)
	}
	if got := a.ComputeEnvironments()[0]; got.Updates != 2 || got.Status != "VALID" {
		t.Errorf("after two updates: %+v", got)
	}
}

func TestWhatReplacesNoInstance(t *testing.T) {
	a, client := newEnvironment(t, environmentInput("gpu", batchTemplate("workers", "2")))
	for name, in := range map[string]*batch.UpdateComputeEnvironmentInput{
		"the same template": updateInput(batchTemplate("workers", "2")),
		"another size":      {ComputeEnvironment: aws.String("gpu"), ComputeResources: &types.ComputeResourceUpdate{MinvCpus: aws.Int32(4), DesiredvCpus: aws.Int32(8), MaxvCpus: aws.Int32(96)}},
		"another state":     {ComputeEnvironment: aws.String("gpu"), State: types.CEStateDisabled},
	} {
		if _, err := client.UpdateComputeEnvironment(t.Context(), in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	got := describeEnvironments(t, a.noRetries(), "gpu")[0]
	if resources := got.ComputeResources; got.Status != types.CEStatusValid || got.State != types.CEStateDisabled || *resources.MinvCpus != 4 || *resources.DesiredvCpus != 8 ||
		*resources.MaxvCpus != 96 || *resources.LaunchTemplate.Version != "2" || a.ComputeEnvironments()[0].Updates != 0 {
		t.Errorf("environment %+v %+v", got, resources)
	}
}

func TestAnUpdateThatEndsInvalid(t *testing.T) {
	cases := map[string]struct {
		template *types.LaunchTemplateSpecification
		vCPUs    int32
		want     string
	}{
		"a snapshot that instances cannot boot from":       {batchTemplate("workers", "3"), 8, "CLIENT_ERROR - InvalidSnapshot.NotFound: "},
		"the same of an override":                          {batchTemplate("workers", "1", batchOverride("gpus", "$Latest", "g5")), 8, "CLIENT_ERROR - InvalidSnapshot.NotFound: "},
		"a version that is not there":                      {batchTemplate("workers", "9"), 0, "CLIENT_ERROR - InvalidLaunchTemplateId.VersionNotFound: "},
		"a template that is not there":                     {batchTemplate("none", "1"), 0, "CLIENT_ERROR - InvalidLaunchTemplateName.NotFoundException: "},
		"nothing is launched, so that nobody finds it out": {batchTemplate("workers", "3"), 0, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := environmentInput("gpu", batchTemplate("workers", "1"))
			in.ComputeResources.MinvCpus = &c.vCPUs
			a, client := newEnvironment(t, in)
			if _, err := client.UpdateComputeEnvironment(t.Context(), updateInput(c.template)); err != nil {
				t.Fatal(err)
			}
			a.pass(replacing)
			got := describeEnvironments(t, a.noRetries(), "gpu")[0]
			if c.want == "" && got.Status != types.CEStatusValid || c.want != "" && (got.Status != types.CEStatusInvalid || !strings.HasPrefix(*got.StatusReason, c.want)) {
				t.Errorf("%s: %s", got.Status, *got.StatusReason)
			}
			if _, err := client.UpdateComputeEnvironment(t.Context(), updateInput(batchTemplate("workers", "2"))); err != nil {
				t.Fatal(err)
			}
			a.pass(replacing)
			if got := describeEnvironments(t, a.noRetries(), "gpu")[0]; got.Status != types.CEStatusValid {
				t.Errorf("another update did not mend it: %s", *got.StatusReason)
			}
		})
	}
}

func TestABrokenEnvironment(t *testing.T) {
	a, client := newEnvironment(t, environmentInput("gpu", batchTemplate("workers", "1")))
	if !a.BreakComputeEnvironment("gpu", "INTERNAL_ERROR - out of order") || a.BreakComputeEnvironment("none", "") {
		t.Error("an environment that exists is broken, and no other")
	}
	if got := describeEnvironments(t, a.noRetries(), "gpu")[0]; got.Status != types.CEStatusInvalid || *got.StatusReason != "INTERNAL_ERROR - out of order" {
		t.Errorf("%s: %s", got.Status, *got.StatusReason)
	}
	if _, err := client.UpdateComputeEnvironment(t.Context(), updateInput(batchTemplate("workers", "2"))); err != nil {
		t.Fatal(err)
	}
	a.BreakComputeEnvironment("gpu", "CLIENT_ERROR - in the middle of it")
	if got := describeEnvironments(t, a.noRetries(), "gpu")[0]; got.Status != types.CEStatusUpdating {
		t.Errorf("before the update's end: %s", got.Status)
	}
	a.pass(replacing)
	if got := describeEnvironments(t, a.noRetries(), "gpu")[0]; got.Status != types.CEStatusInvalid || *got.StatusReason != "CLIENT_ERROR - in the middle of it" {
		t.Errorf("at its end: %s: %s", got.Status, *got.StatusReason)
	}
}

func TestUpdatesThatBatchRefuses(t *testing.T) {
	plain := func(*batch.CreateComputeEnvironmentInput) {}
	eleven := batchTemplate("workers", "2")
	for i := range 11 {
		eleven.Overrides = append(eleven.Overrides, batchOverride("gpus", "1", fmt.Sprintf("g%d", i)))
	}
	both := batchTemplate("workers", "2")
	both.LaunchTemplateId = aws.String("lt-1")
	cases := map[string]struct {
		environment func(*batch.CreateComputeEnvironmentInput)
		template    *types.LaunchTemplateSpecification
	}{
		"another service role": {func(in *batch.CreateComputeEnvironmentInput) {
			in.ServiceRole = aws.String("arn:aws:iam::111122223333:role/service-role/AWSBatchServiceRole")
		}, batchTemplate("workers", "2")},
		"best fit": {func(in *batch.CreateComputeEnvironmentInput) {
			in.ComputeResources.AllocationStrategy = types.CRAllocationStrategyBestFit
		}, batchTemplate("workers", "2")},
		"no strategy, which is best fit": {func(in *batch.CreateComputeEnvironmentInput) { in.ComputeResources.AllocationStrategy = "" }, batchTemplate("workers", "2")},
		"Fargate":                        {func(in *batch.CreateComputeEnvironmentInput) { in.ComputeResources.Type = types.CRTypeFargateSpot }, batchTemplate("workers", "2")},
		"unmanaged":                      {func(in *batch.CreateComputeEnvironmentInput) { in.Type = types.CETypeUnmanaged }, batchTemplate("workers", "2")},
		"a template by both names":       {plain, both},
		"no template":                    {plain, &types.LaunchTemplateSpecification{}},
		"an override of no template":     {plain, batchTemplate("workers", "2", types.LaunchTemplateSpecificationOverride{TargetInstanceTypes: []string{"g5"}})},
		"an override for no type":        {plain, batchTemplate("workers", "2", batchOverride("gpus", "1"))},
		"eleven overrides":               {plain, eleven},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := environmentInput("gpu", batchTemplate("workers", "1"))
			c.environment(in)
			a, client := newEnvironment(t, in)
			_, err := client.UpdateComputeEnvironment(t.Context(), updateInput(c.template))
			wantError(t, err, "ClientException", "")
			if got := a.ComputeEnvironments()[0]; got.Updates != 0 || got.Status != "VALID" {
				t.Errorf("the environment changed all the same: %+v", got)
			}
		})
	}
}

func TestUnmodelledOfBatchIsLoud(t *testing.T) {
	cases := map[string]struct {
		change func(*batch.UpdateComputeEnvironmentInput)
		// body is what is sent instead of what the SDK writes.
		body, want string
	}{
		"a member": {change: func(in *batch.UpdateComputeEnvironmentInput) { in.UnmanagedvCpus = aws.Int32(1) }, want: "body member unmanagedvCpus"},
		"a member of resources": {
			change: func(in *batch.UpdateComputeEnvironmentInput) { in.ComputeResources.Ec2KeyPair = aws.String("key") },
			want:   "body member computeResources.ec2KeyPair",
		},
		"a misspelt member": {body: `{"computeEnvironment":"gpu","computeResources":{"launchTemplate":{"launchTemplateID":"lt-1"}}}`, want: "was understood"},
		"a surprise":        {body: `{"computeEnvironment":"gpu","computeResources":{"launchTemplate":{"surprise":"1"}}}`, want: "was understood"},
		"a wrong type":      {body: `{"computeEnvironment":1}`, want: "cannot unmarshal"},
		"no name":           {body: `{"state":"ENABLED"}`, want: "the SDK would not send it"},
		"no JSON object":    {body: `[]`, want: "no JSON object"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server, err := fakeaws.New(fakeaws.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close() //nolint:errcheck // no call is left that could keep it
			in := updateInput(batchTemplate("workers", "1"))
			if c.change != nil {
				c.change(in)
			}
			_, err = batch.NewFromConfig(server.Config()).UpdateComputeEnvironment(t.Context(), in, func(o *batch.Options) {
				if c.body != "" {
					o.APIOptions = append(o.APIOptions, edit(func(r *smithyhttp.Request) { *r = *must(r.SetStream(strings.NewReader(c.body))) }))
				}
			})
			if err == nil {
				t.Error("it was taken")
			}
			if got := server.Unmodelled(); len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("unmodelled: %q, want %q", got, c.want)
			}
		})
	}
}
