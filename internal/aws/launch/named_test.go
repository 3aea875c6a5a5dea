package launch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestUsesOfVersionsThatOthersName(t *testing.T) {
	cases := map[string]struct {
		reason string
		named  func(template string) []launch.VersionNamed
		want   []launch.Use
	}{
		"by id": {
			"EKS tells a node group's template by id and name",
			func(id string) []launch.VersionNamed {
				return []launch.VersionNamed{{TemplateID: id, TemplateName: "workers", Version: "2", By: "EKS node group prod/gpu"}}
			},
			[]launch.Use{{Name: "launch template lt-00000000000000001 (workers) version 2, named by EKS node group prod/gpu", SnapshotIDs: []string{"snap-2"}}},
		},
		"by name": {
			"a Batch environment may know no id",
			func(string) []launch.VersionNamed {
				return []launch.VersionNamed{{TemplateName: "workers", Version: "2", By: "Batch compute environment gpu"}}
			},
			[]launch.Use{{Name: "launch template lt-00000000000000001 (workers) version 2, named by Batch compute environment gpu", SnapshotIDs: []string{"snap-2"}}},
		},
		"by two": {
			"one use, which says both",
			func(id string) []launch.VersionNamed {
				return []launch.VersionNamed{{TemplateID: id, Version: "2", By: "a"}, {TemplateName: "workers", Version: "2", By: "b"}}
			},
			[]launch.Use{{Name: "launch template lt-00000000000000001 (workers) version 2, named by a, named by b", SnapshotIDs: []string{"snap-2"}}},
		},
		"latest and default": {
			"those of every template are read anyway",
			func(id string) []launch.VersionNamed {
				return []launch.VersionNamed{{TemplateID: id, Version: "$Latest"}, {TemplateID: id, Version: "$Default"}, {TemplateID: id}}
			}, nil,
		},
		"gone": {
			"what does not exist uses nothing",
			func(id string) []launch.VersionNamed {
				return []launch.VersionNamed{{TemplateID: id, Version: "9"}, {TemplateName: "none", Version: "1"}}
			}, nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			id := a.template("workers", "snap-1", "snap-2", "snap-3")
			uses, err := launch.New(a.Config()).UsesOf(t.Context(), c.named(id))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, uses); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestUsesOfWhatCannotBeReadAreNotNone(t *testing.T) {
	a := newAccount(t, fakeaws.Options{Denied: []string{"DescribeLaunchTemplateVersions"}})
	uses, err := launch.New(a.Config()).UsesOf(t.Context(), []launch.VersionNamed{{TemplateID: "lt-00000000000000001", Version: "2"}})
	if !larderaws.IsAccessDenied(err) || uses != nil {
		t.Errorf("%v, %v, want no answer and the refusal", uses, err)
	}
}
