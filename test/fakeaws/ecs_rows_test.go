package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
)

var ecsRows = []row{
	{
		name: "a cluster that is not there",
		check: func(t *testing.T, cfg aws.Config) {
			_, err := ecs.NewFromConfig(cfg).DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("none"), Services: []string{"web"}})
			wantError(t, err, "ClusterNotFoundException", "")
		},
	},
	{
		name: "a service that is not there",
		check: func(t *testing.T, cfg aws.Config) {
			makeService(t, cfg)
			client := ecs.NewFromConfig(cfg)
			out, err := client.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("prod"), Services: []string{"none"}})
			if err != nil || len(out.Services) != 0 || len(out.Failures) != 1 || aws.ToString(out.Failures[0].Reason) != "MISSING" {
				t.Errorf("services %+v, %v, want that it is MISSING", out, err)
			}
			_, err = client.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("none")})
			wantError(t, err, "ServiceNotFoundException", "")
		},
	},
	{
		name: "a task definition is found by its family, its revision and its ARN",
		check: func(t *testing.T, cfg aws.Config) {
			client := ecs.NewFromConfig(cfg)
			var arn string
			for range 2 {
				out, err := client.RegisterTaskDefinition(t.Context(), definitionInput("data"))
				if err != nil {
					t.Fatal(err)
				}
				arn = aws.ToString(out.TaskDefinition.TaskDefinitionArn)
			}
			for name, revision := range map[string]int32{"web": 2, "web:1": 1, arn: 2} {
				out, err := client.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &name})
				if err != nil || out.TaskDefinition.Revision != revision {
					t.Errorf("%s: %+v, %v, want revision %d", name, out, err, revision)
				}
			}
			_, err := client.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("none")})
			wantError(t, err, "ClientException", "")
		},
	},
	{
		name:        "one volume is configured at launch",
		motoDiffers: "it does not look at volumes",
		check: func(t *testing.T, cfg aws.Config) {
			_, err := ecs.NewFromConfig(cfg).RegisterTaskDefinition(t.Context(), definitionInput("data", "more"))
			wantError(t, err, "ClientException", "")
		},
	},
	{
		name:        "a new volume is a new deployment, which the history has",
		motoDiffers: "it drops volume configurations, and has no history",
		check: func(t *testing.T, cfg aws.Config) {
			makeService(t, cfg)
			client := ecs.NewFromConfig(cfg)
			want := volumesFrom("", func(v *types.ServiceManagedEBSVolumeConfiguration) { v.SizeInGiB = aws.Int32(20) })
			if _, err := client.UpdateService(t.Context(), &ecs.UpdateServiceInput{
				Cluster: aws.String("prod"), Service: aws.String("web"), VolumeConfigurations: want,
			}); err != nil {
				t.Fatal(err)
			}
			listed, err := client.ListServiceDeployments(t.Context(), &ecs.ListServiceDeploymentsInput{Cluster: aws.String("prod"), Service: aws.String("web")})
			if err != nil || len(listed.ServiceDeployments) != 2 {
				t.Fatalf("deployments %+v, %v, want two", listed, err)
			}
			var arns []string
			for _, one := range listed.ServiceDeployments {
				arns = append(arns, *one.TargetServiceRevisionArn)
			}
			described, err := client.DescribeServiceRevisions(t.Context(), &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: arns})
			if err != nil || len(described.ServiceRevisions) != 2 {
				t.Fatalf("revisions %+v, %v, want two", described, err)
			}
			sizes := map[int32]bool{}
			for _, one := range described.ServiceRevisions {
				sizes[*one.VolumeConfigurations[0].ManagedEBSVolume.SizeInGiB] = true
			}
			if diff := cmp.Diff(map[int32]bool{10: true, 20: true}, sizes); diff != "" {
				t.Errorf("sizes (-want +got):\n%s", diff)
			}
		},
	},
}
