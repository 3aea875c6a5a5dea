package main

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/test/fakeaws"
)

// consumersInUse is an account in which finding out who uses snapshots takes every call that it can take.
func consumersInUse(t *testing.T) *fakeaws.Server {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	server := fakeaws.NewForTest(t, fakeaws.Options{Clock: clock, TaskStart: time.Minute})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	workers := sdk.String("workers")
	made, err := ec2.NewFromConfig(server.Config()).CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: workers, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{UserData: sdk.String("W10=")},
	})
	must(err)
	_, err = autoscaling.NewFromConfig(server.Config()).CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: workers, MinSize: sdk.Int32(0), MaxSize: sdk.Int32(1), AvailabilityZones: []string{"us-west-2a"},
		LaunchTemplate: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateName: workers, Version: sdk.String("1")},
	})
	must(err)
	server.AddNodeGroup(fakeaws.NodeGroup{Cluster: "prod", Name: "gpu", TemplateID: *made.LaunchTemplate.LaunchTemplateId, TemplateVersion: 1})
	// A deployment at work, when the one before it is older than the history.
	services, web := ecs.NewFromConfig(server.Config()), sdk.String("web")
	_, err = services.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: web})
	must(err)
	_, err = services.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: web, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: web}},
	})
	must(err)
	_, err = services.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: web, ServiceName: web, TaskDefinition: web, DesiredCount: sdk.Int32(1)})
	must(err)
	clock.SetTime(clock.Now().Add(100 * 24 * time.Hour))
	_, err = services.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: web, Service: web, ForceNewDeployment: true})
	must(err)
	return server
}

// TestThePolicyAllowsWhatFindsOutWhoUsesSnapshots refuses one call after the other: each is allowed, and no other.
func TestThePolicyAllowsWhatFindsOutWhoUsesSnapshots(t *testing.T) {
	server := consumersInUse(t)
	refused := errors.New("refused")
	asked := map[string]bool{}
	for first := 0; ; first++ {
		calls := 0
		in := server.ConfigThrough(func(_ string, send func() error) error {
			if calls++; calls > first {
				return refused
			}
			return send()
		})
		var err error
		for _, consumers := range consumersOf(in) {
			if _, err = consumers.SnapshotUses(t.Context()); err != nil {
				break
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		asked[aws.Action(err)] = true
	}
	// What the same statement allows for finding snapshots, AMIs and Regions.
	for _, other := range []string{"ec2:DescribeSnapshots", "ec2:DescribeFastSnapshotRestores", "ec2:DescribeImages", "ec2:DescribeRegions"} {
		asked[other] = true
	}
	allowed := map[string]bool{}
	for _, action := range allowedBy(t, "FindSnapshotsAndWhoUsesThem") {
		allowed[action] = true
	}
	if diff := cmp.Diff(asked, allowed); diff != "" {
		t.Errorf("actions (-asked +allowed):\n%s", diff)
	}
}

func allowedBy(t *testing.T, statement string) []string {
	t.Helper()
	content, err := os.ReadFile("../../config/iam/larder.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct {
			Sid    string
			Action []string
		}
	}
	if err := json.Unmarshal(content, &policy); err != nil {
		t.Fatal(err)
	}
	for _, one := range policy.Statement {
		if one.Sid == statement {
			return one.Action
		}
	}
	t.Fatalf("the policy has no statement %s", statement)
	return nil
}
