package batchcomputeenvironment_test

import (
	"errors"
	"testing"

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
