package batchcomputeenvironment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/batch"
)

// An environment that changed since it was observed gets no version and no update.
func TestActLeavesAloneWhatChanged(t *testing.T) {
	cases := map[string]struct {
		change  func(a *account)
		reason  string
		message string
	}{
		"an update runs":        {func(a *account) { a.environment.Status = batch.Updating }, v1alpha1.ReasonUpdateInProgress, "somebody else had Batch update compute environment gpu first"},
		"another template":      {func(a *account) { a.environment.Templates[0].Version = "$Latest" }, v1alpha1.ReasonWriteConflict, "compute environment gpu changed while it was to be written; it is read again"},
		"an override less":      {func(a *account) { a.environment.Templates = a.environment.Templates[:1] }, v1alpha1.ReasonWriteConflict, "compute environment gpu changed while it was to be written; it is read again"},
		"another of that name":  {func(a *account) { a.environment.ID = "uuid-2" }, v1alpha1.ReasonWriteConflict, "compute environment gpu changed while it was to be written; it is read again"},
		"it is being deleted":   {func(a *account) { a.environment.Status = batch.Deleting }, v1alpha1.ReasonTargetMissing, "this account has no compute environment gpu in the operator's Region: create it, or delete this binding and make one for another environment"},
		"it is there no longer": {func(a *account) { a.environment = nil }, v1alpha1.ReasonTargetMissing, "this account has no compute environment gpu in the operator's Region: create it, or delete this binding and make one for another environment"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := newAccount(t), newBinding()
			plan := a.plan(b, first)
			tc.change(a)
			err := a.target.Act(t.Context(), plan.Write)
			var problem *binding.Problem
			if !errors.As(err, &problem) || problem.Reason != tc.reason || problem.Message != tc.message || problem.RetryAfter == 0 {
				t.Errorf("got %v, want %s: %s", err, tc.reason, tc.message)
			}
			if diff := cmp.Diff([]string(nil), a.called); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// Batch has one code for what it does not take and for what it does not take now.
func TestActExplainsRefusals(t *testing.T) {
	refusal := &types.ClientException{Message: aws.String("no such launch template")}
	cases := map[string]struct {
		refuse  error
		during  func(a *account)
		reason  string
		stalled bool
		after   time.Duration
		message string
	}{
		"for good": {
			refusal, func(*account) {}, v1alpha1.ReasonWriteFailed, true, 10 * time.Minute,
			"Batch does not take the update of compute environment gpu: ClientException: no such launch template",
		},
		"for now": {
			refusal, func(a *account) { a.environment.Status = batch.Updating }, v1alpha1.ReasonUpdateInProgress, false, 30 * time.Second,
			"somebody else had Batch update compute environment gpu first",
		},
		"denied": {
			&smithy.OperationError{ServiceID: "Batch", OperationName: "UpdateComputeEnvironment", Err: &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}},
			func(*account) {}, v1alpha1.ReasonWriteDenied, true, 10 * time.Minute,
			"compute environment gpu cannot be written, since AWS refuses batch:UpdateComputeEnvironment: AccessDeniedException: no: allow it to Larder's role",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := newAccount(t), newBinding()
			a.refuse, a.during = tc.refuse, func() { tc.during(a) }
			err := a.target.Act(t.Context(), a.plan(b, first).Write)
			var problem *binding.Problem
			if !errors.As(err, &problem) || problem.Reason != tc.reason || problem.Message != tc.message || problem.Stalled != tc.stalled || problem.RetryAfter != tc.after {
				t.Errorf("got %+v, want %s: %s", problem, tc.reason, tc.message)
			}
		})
	}
}

func TestActTakesOnlyItsOwnWrites(t *testing.T) {
	a := newAccount(t)
	if err := a.target.Act(t.Context(), "something"); err == nil || len(a.called) > 0 {
		t.Errorf("got %v after %v", err, a.called)
	}
}

// An error of which nobody knows what it did is for trying again: the next pass looks first.
func TestActReturnsWhatMayPass(t *testing.T) {
	a, b := newAccount(t), newBinding()
	a.refuse = errors.New("the line is dead")
	if err := a.target.Act(t.Context(), a.plan(b, first).Write); !errors.Is(err, a.refuse) {
		t.Errorf("got %v", err)
	}
	a.refuse = nil
	a.carryOut(a.plan(b, first))
	if diff := cmp.Diff([]string{"CreateVersion lt-workers", "CreateVersion lt-gpus", "Update", "Update"}, a.called); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
