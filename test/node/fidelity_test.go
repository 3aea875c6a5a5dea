//go:build linux

package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompare(t *testing.T) {
	entry := Object{"entry", "sha256:aa etc/passwd"}
	cases := map[string]struct {
		reason        string
		pulled, built Store
		want          []string
	}{
		"same": {
			reason: "equal stores do not differ, whatever the order of their facts",
			pulled: Store{entry: Facts{"mode": "0100644", "uid": "0"}},
			built:  Store{entry: Facts{"uid": "0", "mode": "0100644"}},
		},
		"field": {
			reason: "a field with another value is one difference",
			pulled: Store{entry: Facts{"mode": "0100644", "uid": "0"}},
			built:  Store{entry: Facts{"mode": "0100600", "uid": "0"}},
			want:   []string{`entry sha256:aa etc/passwd: mode: pulled "0100644", built "0100600"`},
		},
		"missing field": {
			reason: "an attribute that only one side has is a difference on either side",
			pulled: Store{entry: Facts{"xattr user.a": "1"}},
			built:  Store{entry: Facts{"xattr user.b": "2"}},
			want: []string{
				`entry sha256:aa etc/passwd: xattr user.a: pulled "1", built ""`,
				`entry sha256:aa etc/passwd: xattr user.b: pulled "", built "2"`,
			},
		},
		"missing object": {
			reason: "an object that only one side has is one difference, not one for each of its fields",
			pulled: Store{entry: Facts{"mode": "0100644", "uid": "0"}},
			built:  Store{Object{"lease", "left"}: Facts{}},
			want: []string{
				`entry sha256:aa etc/passwd: existence: pulled "present", built "absent"`,
				`lease left: existence: pulled "absent", built "present"`,
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, difference := range Compare(c.pulled, c.built) {
				got = append(got, difference.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", c.reason, diff)
			}
		})
	}
}

func TestPermissionCovers(t *testing.T) {
	difference := Difference{Object: Object{"blob", "sha256:aa"}, Field: "label containerd.io/uncompressed", Pulled: "sha256:bb"}
	cases := map[string]struct {
		reason     string
		permission Permission
		want       bool
	}{
		"exact":        {"kind and field are the difference's", Permission{Kind: "blob", Field: difference.Field}, true},
		"prefix":       {"a star stands for the rest of the field", Permission{Kind: "blob", Field: "label *"}, true},
		"no star":      {"without a star the whole field counts", Permission{Kind: "blob", Field: "label "}, false},
		"other kind":   {"another kind of object is not covered", Permission{Kind: "image", Field: difference.Field}, false},
		"other field":  {"another field is not covered", Permission{Kind: "blob", Field: "size"}, false},
		"when refuses": {"a condition narrows it", Permission{Kind: "blob", Field: "label *", When: func(d Difference) bool { return d.Pulled == "" }}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.permission.covers(difference); got != c.want {
				t.Errorf("%s: covers is %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestReadLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "main.log")
	const log = "2026-01-02T03:04:05.6Z stdout F a line\n" +
		"2026-01-02T03:04:05.7Z stderr P one that \n" +
		"2026-01-02T03:04:05.8Z stderr F goes on\n"
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("a line\none that goes on\n", got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := os.WriteFile(path, []byte("not a log\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readLog(path); err == nil {
		t.Errorf("a line without headers was read as %q", got)
	}
}
