package kms_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/kms"
	"github.com/larder-dev/larder/test/fakeaws"
)

const keyID = "11111111-2222-3333-4444-555555555555"

func TestDescribe(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	arn := server.AddKey(fakeaws.Key{ID: keyID, Aliases: []string{"alias/larder"}})
	disabled := server.AddKey(fakeaws.Key{ID: "22222222-2222-3333-4444-555555555555", State: fakeaws.KeyDisabled})
	cases := map[string]struct {
		reason string
		keyID  string
		want   kms.Key
	}{
		"by id":           {"what the console shows", keyID, kms.Key{ARN: arn, Enabled: true, State: "Enabled"}},
		"by ARN":          {"what Terraform gives", arn, kms.Key{ARN: arn, Enabled: true, State: "Enabled"}},
		"by alias":        {"what people remember", "alias/larder", kms.Key{ARN: arn, Enabled: true, State: "Enabled"}},
		"by alias's ARN":  {"an alias of a certain Region", "arn:aws:kms:us-west-2:111122223333:alias/larder", kms.Key{ARN: arn, Enabled: true, State: "Enabled"}},
		"a disabled key":  {"it is there and cannot be used; that is no error", disabled, kms.Key{ARN: disabled, State: "Disabled"}},
		"AWS's EBS key":   {"what it encrypts cannot be shared", "alias/aws/ebs", kms.Key{ARN: "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-0000-0000-000000000000", Enabled: true, State: "Enabled", AWSManaged: true}},
		"a pending death": {"a key may be on its way out", server.AddKey(fakeaws.Key{ID: "33333333-2222-3333-4444-555555555555", State: fakeaws.KeyPendingDeletion}), kms.Key{ARN: "arn:aws:kms:us-west-2:111122223333:key/33333333-2222-3333-4444-555555555555", State: "PendingDeletion"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := kms.New(server.Config()).Describe(t.Context(), c.keyID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestDescribeOfAnAbsentKey(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	server.AddKey(fakeaws.Key{ID: keyID, Region: "eu-west-1"})
	for name, id := range map[string]string{"a key of another Region": keyID, "an alias that nobody made": "alias/none"} {
		t.Run(name, func(t *testing.T) {
			if _, err := kms.New(server.Config()).Describe(t.Context(), id); !larderaws.IsNotFound(err) {
				t.Errorf("error %v, want one for a key that does not exist", err)
			}
		})
	}
}

func TestDescribeMayNot(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{Denied: []string{"DescribeKey"}})
	if _, err := kms.New(server.Config()).Describe(t.Context(), keyID); larderaws.Classify(err) != larderaws.Stalled || !larderaws.IsAccessDenied(err) {
		t.Errorf("error %v is not for a person", err)
	}
}

func TestGrantees(t *testing.T) {
	principals := func(count int) []string {
		all := []string{}
		for number := range count {
			all = append(all, fmt.Sprintf("arn:aws:iam::111122223333:role/%05d", number))
		}
		return all
	}
	cases := map[string]struct {
		reason string
		given  []string
		want   []string
		calls  int
	}{
		"none":           {"that is known too", nil, []string{}, 1},
		"one thrice":     {"each has a grant for each volume", []string{"b", "a", "b", "b"}, []string{"a", "b"}, 1},
		"several pages":  {"a page has a hundred", principals(250), principals(250), 3},
		"all there may":  {"the last of the pages that are read", principals(5000), principals(5000), 50},
		"more than that": {"a part would tell nothing", principals(5001), nil, 50},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := fakeaws.NewForTest(t, fakeaws.Options{})
			arn := server.AddKey(fakeaws.Key{ID: keyID, Grantees: c.given})
			got, err := kms.New(server.Config()).Grantees(t.Context(), arn)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if calls := server.Calls("ListGrants"); calls != c.calls {
				t.Errorf("%s: %d calls, want %d", c.reason, calls, c.calls)
			}
		})
	}
}

func TestGranteesRefused(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{Denied: []string{"ListGrants"}})
	arn := server.AddKey(fakeaws.Key{ID: keyID})
	if _, err := kms.New(server.Config()).Grantees(t.Context(), arn); !larderaws.IsAccessDenied(err) {
		t.Errorf("error %v, want a refusal", err)
	}
	open := fakeaws.NewForTest(t, fakeaws.Options{})
	if _, err := kms.New(open.Config()).Grantees(t.Context(), arn); !larderaws.IsNotFound(err) {
		t.Errorf("error %v, want one for a key that does not exist", err)
	}
}
