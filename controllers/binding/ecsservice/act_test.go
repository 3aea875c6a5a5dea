package ecsservice

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

// calls is a service that notes what is done to it, and refuses one kind of call.
type calls struct {
	primary string
	refuse  map[string]error
	made    []string
}

func (c *calls) do(call string) error {
	c.made = append(c.made, call)
	return c.refuse[call]
}

func (c *calls) Service(context.Context, string, string) (ecs.Service, error) {
	return ecs.Service{Deployments: []ecs.Deployment{{ID: c.primary, Primary: true}}}, c.refuse["read"]
}

func (c *calls) LatestRollout(context.Context, string, string) (ecs.Rollout, bool, error) {
	return ecs.Rollout{}, false, nil
}

func (c *calls) TaskDefinition(context.Context, string) (ecs.TaskDefinition, error) {
	return ecs.TaskDefinition{}, nil
}

func (c *calls) ManagedInstances(context.Context, string, []string) ([]string, error) {
	return nil, nil
}

func (c *calls) UpdateVolumes(context.Context, string, string, []ecs.Volume) error {
	return c.do("update")
}
func (c *calls) Tag(context.Context, string, map[string]string) error { return c.do("tag") }
func (c *calls) Untag(context.Context, string, []string) error        { return c.do("untag") }

func TestAct(t *testing.T) {
	code := func(code string) error {
		return fmt.Errorf("calling: %w", &smithy.GenericAPIError{Code: code, Message: "no", Fault: smithy.FaultClient})
	}
	update := &write{primary: "ecs-svc/1", tags: map[string]string{"a": "b"}, updates: true}
	release := &write{primary: "ecs-svc/1", untag: []string{"a"}}
	cases := map[string]struct {
		reason  string
		service calls
		write   *write
		made    []string
		want    string
	}{
		"a volume":        {"the record comes first", calls{primary: "ecs-svc/1"}, update, []string{"tag", "update"}, ""},
		"a record's end":  {"nothing is deployed", calls{primary: "ecs-svc/1"}, release, []string{"untag"}, ""},
		"somebody faster": {"what is written rests on what was read", calls{primary: "ecs-svc/2"}, update, nil, v1alpha1.ReasonWriteConflict},
		"no record": {
			"without it the former volume would be lost", calls{primary: "ecs-svc/1", refuse: map[string]error{"tag": code("AccessDeniedException")}},
			update, []string{"tag"}, v1alpha1.ReasonWriteDenied,
		},
		"gone meanwhile": {
			"with it goes what was to be written", calls{primary: "ecs-svc/1", refuse: map[string]error{"update": code("ServiceNotActiveException")}},
			update, []string{"tag", "update"}, v1alpha1.ReasonTargetMissing,
		},
		"refused": {
			"ECS knows better", calls{primary: "ecs-svc/1", refuse: map[string]error{"update": code("InvalidParameterException")}},
			update, []string{"tag", "update"}, v1alpha1.ReasonDeviceInvalid,
		},
		"a bad moment": {
			"it is tried again", calls{primary: "ecs-svc/1", refuse: map[string]error{"update": code("SomethingElse")}},
			update, []string{"tag", "update"}, "an error",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.write.target = bound("").Spec.Target.ECSService
			err := (&Target{Reader: &c.service, Writer: &c.service}).Act(t.Context(), c.write)
			got := ""
			var problem *binding.Problem
			if errors.As(err, &problem) {
				got = problem.Reason
			} else if err != nil {
				got = "an error"
			}
			if diff := cmp.Diff(c.made, c.service.made); diff != "" || got != c.want {
				t.Errorf("%s: %v, want %q; calls (-want +got):\n%s", c.reason, err, c.want, diff)
			}
		})
	}
}
