//go:build linux

package node

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// existence is the field by which an object that only one store has differs.
const existence = "existence"

// Difference is one field of one object that two stores tell differently; an absent field is empty.
type Difference struct {
	Object        Object
	Field         string
	Pulled, Built string
	// pulled are all the facts of the pulled object; nil where it is absent.
	pulled Facts
}

func (d Difference) String() string {
	return fmt.Sprintf("%s %s: %s: pulled %q, built %q", d.Object.Kind, d.Object.Name, d.Field, d.Pulled, d.Built)
}

// PulledFact returns another field of the pulled object, for a Permission to judge by.
func (d Difference) PulledFact(field string) string { return d.pulled[field] }

// Permission is a kind of difference that a built volume may show against a pull.
type Permission struct {
	// Kind is the kind of object.
	Kind string
	// Field is a field's name; one that ends in "*" stands for all that begin so.
	Field string
	// When narrows the permission; nil does not.
	When func(Difference) bool
	// Reason says why the difference is right.
	Reason string
}

func (p Permission) covers(d Difference) bool {
	prefix, isPrefix := strings.CutSuffix(p.Field, "*")
	if p.Kind != d.Object.Kind || p.Field != d.Field && (!isPrefix || !strings.HasPrefix(d.Field, prefix)) {
		return false
	}
	return p.When == nil || p.When(d)
}

// Compare returns the differences between a pulled and a built store, in the order of objects and fields.
func Compare(pulled, built Store) []Difference {
	var differences []Difference
	for object := range unionOf(pulled, built) {
		p, inPulled := pulled[object]
		b, inBuilt := built[object]
		if inPulled != inBuilt {
			differences = append(differences, Difference{
				Object: object, Field: existence,
				Pulled: presence(inPulled), Built: presence(inBuilt), pulled: p,
			})
			continue
		}
		for field := range unionOf(p, b) {
			if p[field] != b[field] {
				differences = append(differences, Difference{
					Object: object, Field: field, Pulled: p[field], Built: b[field], pulled: p,
				})
			}
		}
	}
	slices.SortFunc(differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Object.Kind, b.Object.Kind), cmp.Compare(a.Object.Name, b.Object.Name), cmp.Compare(a.Field, b.Field))
	})
	return differences
}

// CheckDifferences fails the test for every difference that no permission covers, and for every permission that
// covers none: a list that outlives its reasons hides mistakes.
func CheckDifferences(t testing.TB, differences []Difference, permissions []Permission) {
	t.Helper()
	const shown = 50
	used := make([]int, len(permissions))
	refused := 0
	for _, difference := range differences {
		i := slices.IndexFunc(permissions, func(p Permission) bool { return p.covers(difference) })
		if i >= 0 {
			used[i]++
			continue
		}
		if refused++; refused <= shown {
			t.Errorf("%s", difference)
		}
	}
	if refused > shown {
		t.Errorf("… and %d more differences", refused-shown)
	}
	for i, permission := range permissions {
		t.Logf("%d differences in %s of %s: %s", used[i], permission.Field, permission.Kind, permission.Reason)
		if used[i] == 0 {
			t.Errorf("nothing differs any more in %s of %s: remove the permission", permission.Field, permission.Kind)
		}
	}
}

func presence(present bool) string {
	if present {
		return "present"
	}
	return "absent"
}

func unionOf[M ~map[K]V, K comparable, V any](a, b M) M {
	union := maps.Clone(a)
	if union == nil {
		union = M{}
	}
	maps.Copy(union, b)
	return union
}
