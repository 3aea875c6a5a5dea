package ec2nodeclass

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

func TestFamilyOf(t *testing.T) {
	type object = map[string]any
	terms := func(terms ...any) object { return object{"amiSelectorTerms": terms} }
	cases := map[string]struct {
		reason string
		spec   object
		want   string
		alias  bool
	}{
		"an alias":                {"Karpenter writes them small", terms(object{"alias": "bottlerocket@v1.50.0"}), amifamily.Bottlerocket, true},
		"an alias of Windows":     {"all of Karpenter's families have one", terms(object{"alias": "windows2025@latest"}), amifamily.Windows2025, true},
		"a family":                {"AMIs are selected by their ids", object{"amiFamily": "AL2023", "amiSelectorTerms": []any{object{"id": "ami-1"}}}, amifamily.AL2023, false},
		"a family and alias":      {"user data is for Custom, while the AMI is Amazon's", object{"amiFamily": "Custom", "amiSelectorTerms": []any{object{"alias": "al2@latest"}}}, amifamily.Custom, true},
		"an alias of what is new": {"a newer Karpenter may have more families", terms(object{"alias": "al2030@latest"}), amifamily.Unknown, true},
		"neither":                 {"Karpenter would refuse it", terms(object{"id": "ami-1"}, "no object"), amifamily.Unknown, false},
		"nothing":                 {"a class may be anything before it is validated", object{}, amifamily.Unknown, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			class := &unstructured.Unstructured{Object: object{"spec": tc.spec}}
			if got := familyOf(class); got != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got, tc.want)
			}
			if got := aliasOf(class) != ""; got != tc.alias {
				t.Errorf("%s: got %v for an alias, want %v", tc.reason, got, tc.alias)
			}
		})
	}
}
