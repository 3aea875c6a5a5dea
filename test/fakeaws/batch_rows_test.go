package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
)

// environmentInput is a compute environment that can have its instances replaced.
func environmentInput(name string, template *types.LaunchTemplateSpecification) *batch.CreateComputeEnvironmentInput {
	return &batch.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: &name, Type: types.CETypeManaged,
		ComputeResources: &types.ComputeResource{
			Type: types.CRTypeEc2, AllocationStrategy: types.CRAllocationStrategyBestFitProgressive,
			MinvCpus: aws.Int32(0), MaxvCpus: aws.Int32(64), InstanceTypes: []string{"g5", "m5"}, Subnets: []string{"subnet-1"},
			InstanceRole: aws.String("ecsInstanceRole"), LaunchTemplate: template,
		},
	}
}

func describeEnvironments(t *testing.T, cfg aws.Config, names ...string) []types.ComputeEnvironmentDetail {
	t.Helper()
	out, err := batch.NewFromConfig(cfg).DescribeComputeEnvironments(t.Context(), &batch.DescribeComputeEnvironmentsInput{ComputeEnvironments: names})
	if err != nil {
		t.Fatal(err)
	}
	return out.ComputeEnvironments
}

const motoChecksEnvironments = "it wants roles and subnets that exist, and other errors than Batch has"

var environmentRows = []row{
	{
		name: "a compute environment that is not there is not listed",
		check: func(t *testing.T, cfg aws.Config) {
			if found := describeEnvironments(t, cfg, "none"); len(found) != 0 {
				t.Errorf("found %+v", found)
			}
		},
	},
	{
		name: "and not updated",
		check: func(t *testing.T, cfg aws.Config) {
			_, err := batch.NewFromConfig(cfg).UpdateComputeEnvironment(t.Context(), &batch.UpdateComputeEnvironmentInput{ComputeEnvironment: aws.String("none"), State: types.CEStateDisabled})
			wantError(t, err, "ClientException", "")
		},
	},
	{
		name:        "a name is taken once, and by its letters",
		motoDiffers: motoChecksEnvironments,
		check: func(t *testing.T, cfg aws.Config) {
			client := batch.NewFromConfig(cfg)
			if _, err := client.CreateComputeEnvironment(t.Context(), environmentInput("gpu", nil)); err != nil {
				t.Fatal(err)
			}
			_, err := client.CreateComputeEnvironment(t.Context(), environmentInput("gpu", nil))
			wantError(t, err, "ClientException", "")
			_, err = client.CreateComputeEnvironment(t.Context(), environmentInput("g p u", nil))
			wantError(t, err, "ClientException", "")
		},
	},
	{
		name:        "an environment is found by its name and its ARN, in its Region, with the service-linked role",
		motoDiffers: motoChecksEnvironments,
		check: func(t *testing.T, cfg aws.Config) {
			made, err := batch.NewFromConfig(cfg).CreateComputeEnvironment(t.Context(), environmentInput("gpu", nil))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"gpu", *made.ComputeEnvironmentArn} {
				found := describeEnvironments(t, cfg, name, "none")
				if len(found) != 1 || found[0].Status != types.CEStatusValid || found[0].ContainerOrchestrationType != types.OrchestrationTypeEcs ||
					*found[0].ServiceRole != "arn:aws:iam::111122223333:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch" {
					t.Errorf("by %s: %+v", name, found)
				}
			}
			cfg.Region = "eu-west-1"
			if found := describeEnvironments(t, cfg); len(found) != 0 {
				t.Errorf("in another Region: %+v", found)
			}
		},
	},
	{
		name:        "only a disabled environment is deleted",
		motoDiffers: motoChecksEnvironments,
		check: func(t *testing.T, cfg aws.Config) {
			client, name := batch.NewFromConfig(cfg), aws.String("gpu")
			if _, err := client.CreateComputeEnvironment(t.Context(), environmentInput("gpu", nil)); err != nil {
				t.Fatal(err)
			}
			_, err := client.DeleteComputeEnvironment(t.Context(), &batch.DeleteComputeEnvironmentInput{ComputeEnvironment: name})
			wantError(t, err, "ClientException", "")
			if _, err := client.UpdateComputeEnvironment(t.Context(), &batch.UpdateComputeEnvironmentInput{ComputeEnvironment: name, State: types.CEStateDisabled}); err != nil {
				t.Fatal(err)
			}
			for range 2 { // also when it is gone
				if _, err := client.DeleteComputeEnvironment(t.Context(), &batch.DeleteComputeEnvironmentInput{ComputeEnvironment: name}); err != nil {
					t.Fatal(err)
				}
			}
			if found := describeEnvironments(t, cfg); len(found) != 0 {
				t.Errorf("left: %+v", found)
			}
		},
	},
}
