package template

import (
	"errors"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/launch"
)

func refusedCall(operation, code string) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: operation, Err: &smithy.GenericAPIError{Code: code, Message: "no"}}
}

func TestResolve(t *testing.T) {
	s := newShelf(nil, nil, nil)
	s.Versions = append(s.Versions[:1:1], s.Versions[2]) // 2 was deleted
	for called, want := range map[string]int64{"1": 1, "3": 3, Latest: 3, Default: 1, "": 1, "2": 0, "4": 0, "$latest": 0, "-1": 0, "1.0": 0} {
		got, found := s.Read().Resolve(called)
		if got.Number != want || found != (want != 0) {
			t.Errorf("%q is version %d, %v, want %d", called, got.Number, found, want)
		}
	}
	for _, called := range []string{Latest, Default, "1"} {
		if got, found := (History{}).Resolve(called); found {
			t.Errorf("of nothing %q is %+v", called, got)
		}
	}
}

func TestWhatIsSaidOfOthersVersions(t *testing.T) {
	h := newShelf([]launch.Device{data(from("snap-theirs"))}).Read()
	if h.OwnerOf(1) != "" || h.IsOurs(uid, 1) || h.IsOurs("", 1) || h.WasCalled(uid, dataDevice, 1) != "" || h.IsOurs("", 9) || h.SnapshotOf(9, dataDevice) != "" {
		t.Error("a person's version is said to be Larder's")
	}
	if origin, found := h.Origin(uid, dataDevice, 1); !found || origin.Number != 1 {
		t.Errorf("its origin is %d, %v, want itself", origin.Number, found)
	}
	if h.SnapshotOf(1, dataDevice) != "snap-theirs" || h.SnapshotOf(1, "/dev/xvdz") != "" {
		t.Error("its snapshot")
	}
}

func TestReadProblems(t *testing.T) {
	broken := errors.New("a broken pipe")
	cases := map[string]struct {
		reason  string
		err     error
		problem string
		message string
	}{
		"absent": {"it may be another account's", refusedCall("DescribeLaunchTemplates", "InvalidLaunchTemplateName.NotFoundException"), v1alpha1.ReasonTemplateNotFound,
			"this account has no launch template workers in the operator's Region, and Larder cannot write another account's: make one, or name one of this account"},
		"denied": {"somebody has to allow it", refusedCall("DescribeLaunchTemplates", "UnauthorizedOperation"), v1alpha1.ReasonTargetUnreadable,
			"launch template workers cannot be read, since AWS refuses ec2:DescribeLaunchTemplates: UnauthorizedOperation: no: allow it to Larder's role"},
		"throttled": {"it is tried again", refusedCall("DescribeLaunchTemplates", "RequestLimitExceeded"), "", ""},
		"broken":    {"it is tried again", broken, "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newShelf(nil)
			s.fail = tc.err
			_, problem, err := Read(t.Context(), stand{s}, Nobody{}, launch.Reference{Name: "workers"})
			if tc.problem == "" {
				if problem != nil || !errors.Is(err, tc.err) {
					t.Errorf("%s: %v, %v", tc.reason, problem, err)
				}
				return
			}
			if err != nil || problem == nil || problem.Reason != tc.problem || problem.Message != tc.message || !problem.Stalled || problem.RetryAfter != afterPerson {
				t.Errorf("%s: %+v, %v", tc.reason, problem, err)
			}
		})
	}
	s := newShelf([]launch.Device{root()})
	h, problem, err := Read(t.Context(), stand{s}, Nobody{}, launch.Reference{ID: templateID})
	if err != nil || problem != nil || h.Template.ID != templateID || len(h.Versions) != 1 {
		t.Errorf("%+v, %v, %v", h, problem, err)
	}
}

func TestPublishProblems(t *testing.T) {
	const create = "CreateLaunchTemplateVersion"
	cases := map[string]struct {
		err     error
		problem string
		stalled bool
		message string
	}{
		"refused": {&launch.RefusedError{Codes: []string{"InvalidSnapshot.NotFound"}, Messages: []string{"gone"}}, v1alpha1.ReasonVersionRefused, true,
			"EC2 says that nothing can be launched with the version of launch template lt-0123456789abcdef0 that Larder made of version 1, so it was deleted again: InvalidSnapshot.NotFound: gone"},
		"refused and left": {&launch.RefusedError{Number: 2, NotDeleted: refusedCall("DeleteLaunchTemplateVersions", "UnauthorizedOperation"), Codes: []string{"InvalidSnapshot.NotFound"}, Messages: []string{"gone"}},
			v1alpha1.ReasonVersionRefused, true, "EC2 says that nothing can be launched with the version of launch template lt-0123456789abcdef0 that Larder made of version 1, but it could not be deleted " +
				"again: delete version 2 (UnauthorizedOperation: no): InvalidSnapshot.NotFound: gone"},
		"denied": {refusedCall(create, "UnauthorizedOperation"), v1alpha1.ReasonWriteDenied, true,
			"launch template lt-0123456789abcdef0 gets no version, since AWS refuses ec2:CreateLaunchTemplateVersion: UnauthorizedOperation: no: allow it to Larder's role"},
		"limit": {refusedCall(create, "MaxTemplateVersionLimitExceeded"), v1alpha1.ReasonVersionLimit, true,
			"launch template lt-0123456789abcdef0 has as many versions as AWS allows, by default 10000: delete versions of it that nothing launches with; Larder deletes only those that it made"},
		"source gone": {refusedCall(create, "InvalidLaunchTemplateId.VersionNotFound"), v1alpha1.ReasonVersionNotFound, false,
			"version 1 of launch template lt-0123456789abcdef0 was deleted while Larder made another of it: InvalidLaunchTemplateId.VersionNotFound: no"},
		"throttled": {refusedCall(create, "RequestLimitExceeded"), "", false, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newShelf([]launch.Device{root()})
			step, _ := s.Read().With(s.want(1), snapshot)
			s.fail = tc.err
			number, err := Publish(t.Context(), stand{s}, step)
			var problem *binding.Problem
			if !errors.Is(err, tc.err) || number != 0 {
				t.Fatalf("version %d, %v", number, err)
			}
			if isProblem := errors.As(err, &problem); isProblem != (tc.problem != "") {
				t.Fatalf("%v", err)
			}
			if problem != nil && (problem.Reason != tc.problem || problem.Message != tc.message || problem.Stalled != tc.stalled || problem.RetryAfter == 0) {
				t.Errorf("%+v", problem)
			}
		})
	}
	s := newShelf(nil)
	if number, err := Publish(t.Context(), stand{s}, Step{Number: 1}); err != nil || number != 1 || len(s.calls) != 0 {
		t.Errorf("a version that exists: %d, %v, %v", number, err, s.calls)
	}
}
