package ec2nodeclass

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// region answers for AMIs and keeps what it was asked for.
type region struct {
	images []ami.Image
	err    error
	asked  [][]string
}

func (r *region) Describe(_ context.Context, ids []string) ([]ami.Image, error) {
	r.asked = append(r.asked, ids)
	return r.images, r.err
}

func TestObserveAsksForTheAMIsOfTheClass(t *testing.T) {
	resolved := []any{mapping{"id": "ami-1", "requirements": []any{}}, mapping{"id": "ami-2", "requirements": []any{}}}
	large := []ami.Image{{ID: "ami-2", RootDevice: "/dev/xvda", RootGiB: 100}}
	cases := map[string]struct {
		reason  string
		amis    []any
		region  region
		asked   [][]string
		problem string
		says    string // of the only warning
	}{
		"AMIs that are too large": {"no node could be launched", resolved, region{images: large}, [][]string{{"ami-1", "ami-2"}}, "RootDeviceTooSmall", ""},
		"AMIs that fit":           {"all is well", resolved, region{images: []ami.Image{{ID: "ami-1", RootDevice: "/dev/xvda", RootGiB: 2}}}, [][]string{{"ami-1", "ami-2"}}, "", ""},
		"no AMIs yet":             {"Karpenter did not look at the class yet", nil, region{images: large}, nil, "", ""},
		"EC2 fails":               {"a check less is no reason to wait", resolved, region{err: errors.New("lost at id 4711")}, [][]string{{"ami-1", "ami-2"}}, "", "EC2 did not answer"},
		"EC2 refuses":             {"a person has to allow it", resolved, region{err: &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "id 4711"}}, [][]string{{"ami-1", "ami-2"}}, "", "allow its role ec2:DescribeImages"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			class := bottlerocket(rootVolume)
			class.SetGroupVersionKind(classKind)
			class.Object["status"] = mapping{"amis": tc.amis}
			client := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithObjects(class).Build()
			b := bindingWith(v1alpha1.Device{})
			observation, err := (&Target{Client: client, Reader: client, Cache: client, Images: &tc.region}).Observe(t.Context(), b, binding.Heard)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.asked, tc.region.asked); diff != "" {
				t.Errorf("%s: asked for (-want +got):\n%s", tc.reason, diff)
			}
			snapshot := binding.Snapshot{ID: "snap-1", Format: v1alpha1.FormatBottlerocket, SizeGiB: 8, Platforms: []string{"linux/amd64", "linux/arm64"}}
			plan := observation.Plan(b, snapshot, time.Now())
			if problem := plan.Problem; (problem == nil) != (tc.problem == "") || problem != nil && problem.Reason != tc.problem {
				t.Errorf("%s: got %v, want %q", tc.reason, problem, tc.problem)
			}
			expectOnlyWarning(t, plan.Warnings, tc.says)
		})
	}
}

// expectOnlyWarning also looks for the number of a request, which would change the status with every pass.
func expectOnlyWarning(t *testing.T, warnings []binding.Warning, says string) {
	t.Helper()
	if says == "" && len(warnings) == 0 {
		return
	}
	if says == "" || len(warnings) != 1 || warnings[0].Reason != v1alpha1.ReasonNotChecked ||
		!strings.Contains(warnings[0].Message, says) || strings.Contains(warnings[0].Message, "4711") {
		t.Errorf("got %+v, want one that says %q", warnings, says)
	}
}
