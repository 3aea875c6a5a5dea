package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestAllowedSnapshotOwners(t *testing.T) {
	cases := map[string]struct {
		reason string
		owners []string
		says   string
	}{
		"none":              {"our own account is always allowed", nil, ""},
		"two":               {"zeros in front are digits too", []string{"111122223333", "000000000001"}, ""},
		"with hyphens":      {"as the console shows it", []string{"111122223333", "1111-2222-3333"}, `"1111-2222-3333" is no account's id`},
		"a zero lost":       {"as a spreadsheet or YAML writes it", []string{"11122223333"}, "with their leading zeros"},
		"an alias":          {"AWS names accounts by ids", []string{"amazon"}, `"amazon" is no account's id`},
		"a trailing comma":  {"what was left out may have been meant", []string{"111122223333", ""}, `"" is no account's id`},
		"a space in front":  {"it would never match", []string{" 111122223333"}, "is no account's id"},
		"with a line after": {"it would never match", []string{"111122223333\n"}, "is no account's id"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := checkOwners(tc.owners)
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.says)
			}
		})
	}
}

// TestManagerChecksItsOwnersFirst: a manager that starts with a mistyped account would tell of it hours later.
func TestManagerChecksItsOwnersFirst(t *testing.T) {
	var out, errors bytes.Buffer
	root := newRoot(streams{out: &out, err: &errors}, "larder")
	root.SetArgs([]string{"manager", "--kubeconfig", "/does/not/exist", "--allowed-snapshot-owners", "111122223333,x"})
	err := root.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), `--allowed-snapshot-owners: "x" is no account's id`) {
		t.Errorf("got %v, want the account that is none", err)
	}
}
