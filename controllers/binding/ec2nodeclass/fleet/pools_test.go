package fleet_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

func TestPools(t *testing.T) {
	cases := map[string]struct {
		reason  string
		claims  []unstructured.Unstructured
		pools   []unstructured.Unstructured
		applied time.Time
		want    []binding.Pool
	}{
		"none": {reason: "a class that nobody uses runs nothing", pools: items(newPool("a"))},
		"two pools": {
			reason: "nodes are counted by NodePool, in the order of names",
			claims: items(newClaim("1", labelled("karpenter.sh/nodepool", "b")), newClaim("2"), newClaim("3")),
			pools:  items(newPool("b"), newPool("a")),
			want:   []binding.Pool{{Name: "a", Outdated: 2, Staying: 2}, {Name: "b", Outdated: 1, Staying: 1}},
		},
		"without a pool": {
			reason: "a NodeClaim that a person made is a node too",
			claims: items(newClaim("1", without("metadata", "labels"))),
			want:   []binding.Pool{{Outdated: 1, Staying: 1}},
		},
		"of a pool that is gone": {
			reason: "nothing is known of it, so it holds nothing",
			claims: items(newClaim("1")),
			want:   []binding.Pool{{Name: "a", Outdated: 1, Staying: 1}},
		},
		"of other classes": {
			reason: "another class, or the class of that name of another provider, is none of ours",
			claims: items(newClaim("1", of("cpu", "spec", "nodeClassRef")), newClaim("2", set("karpenter.azure.com", "spec", "nodeClassRef", "group"))),
			pools:  items(newPool("a")),
		},
		"being deleted": {
			reason: "a node on its way out is none any more",
			claims: items(newClaim("1", deleted)),
			pools:  items(newPool("a")),
		},
		"a pool that moved to another class": {
			reason: "its nodes are of this class until they are gone, and its budgets still rule them",
			claims: items(newClaim("1")),
			pools: items(newPool("a", of("cpu", "spec", "template", "spec", "nodeClassRef"), annotated("karpenter.sh/nodepool-hash", "2"),
				set([]any{map[string]any{"nodes": "0"}}, "spec", "disruption", "budgets"))),
			want: []binding.Pool{{Name: "a", Outdated: 1, HoldsDrift: true}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := fleet.Of("gpu", newClass(), c.claims, c.pools)
			if diff := cmp.Diff(c.want, f.Pools(c.applied)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestHoldsDrift(t *testing.T) {
	budget := func(pairs ...any) map[string]any {
		b := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			b[pairs[i].(string)] = pairs[i+1]
		}
		return b
	}
	drifted := []any{"Drifted"}
	cases := map[string]struct {
		reason  string
		budgets []any
		want    bool
	}{
		"absent":               {reason: "Karpenter then takes 10%"},
		"count":                {reason: "no node may go", budgets: []any{budget("nodes", "0")}, want: true},
		"percentage":           {reason: "no node may go", budgets: []any{budget("nodes", "0%")}, want: true},
		"zeros":                {reason: "the pattern of the field takes these, too", budgets: []any{budget("nodes", "00%")}, want: true},
		"one":                  {reason: "nodes go one by one", budgets: []any{budget("nodes", "1")}},
		"ten":                  {reason: "the digit is there, the number is not", budgets: []any{budget("nodes", "10")}},
		"one per cent":         {reason: "Karpenter rounds up", budgets: []any{budget("nodes", "1%")}},
		"all":                  {reason: "drift goes at once", budgets: []any{budget("nodes", "100%")}},
		"for drift":            {reason: "this is the budget for it", budgets: []any{budget("nodes", "0", "reasons", drifted)}, want: true},
		"for drift and others": {reason: "one of the reasons is drift", budgets: []any{budget("nodes", "0", "reasons", []any{"Empty", "Drifted"})}, want: true},
		"for others":           {reason: "empty nodes stay, drifted ones do not", budgets: []any{budget("nodes", "0", "reasons", []any{"Empty", "Underutilized"})}},
		"for none":             {reason: "Karpenter tells an empty list from none, and applies it to nothing", budgets: []any{budget("nodes", "0", "reasons", []any{})}},
		"null reasons":         {reason: "null is absent", budgets: []any{budget("nodes", "0", "reasons", nil)}, want: true},
		"scheduled":            {reason: "outside of its hours it does not limit", budgets: []any{budget("nodes", "0", "schedule", "0 9 * * *", "duration", "8h")}},
		"scheduled all day":    {reason: "that it has no gap is not for Larder to prove", budgets: []any{budget("nodes", "0", "schedule", "@daily", "duration", "24h")}},
		"with a schedule only": {reason: "the API server refuses it, and nothing is known of it", budgets: []any{budget("nodes", "0", "schedule", "@daily")}},
		"with a duration only": {reason: "the API server refuses it, and nothing is known of it", budgets: []any{budget("nodes", "0", "duration", "8h")}},
		"the strictest of many": {
			reason:  "Karpenter takes the least of the active budgets",
			budgets: []any{budget("nodes", "50%"), budget("nodes", "0", "reasons", drifted)}, want: true,
		},
		"zero on schedule among others": {
			reason:  "what is left outside of the hours is 50%",
			budgets: []any{budget("nodes", "50%"), budget("nodes", "0", "schedule", "@daily", "duration", "8h")},
		},
		"no number": {reason: "the API server refuses it, and nothing is known of it", budgets: []any{budget("nodes", ""), budget("nodes", "%"), budget()}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pool := newPool("a", without("spec", "disruption"))
			if c.budgets != nil {
				set(c.budgets, "spec", "disruption", "budgets")(pool)
			}
			f := fleet.Of("gpu", newClass(), items(newClaim("1")), items(pool))
			if got := f.Pools(applied)[0].HoldsDrift; got != c.want {
				t.Errorf("%s: got %v", c.reason, got)
			}
		})
	}
}

func TestStaying(t *testing.T) {
	cases := map[string]struct {
		reason             string
		claim, class, pool []edit
		leaves             bool
	}{
		"untouched":               {reason: "nothing drifted it"},
		"marked":                  {reason: "Karpenter says so", claim: []edit{says("Drifted=True AMIDrift", 0)}, leaves: true},
		"mark taken back":         {reason: "it is there and not true", claim: []edit{says("Drifted=False NotDrifted", 0)}},
		"class changed":           {reason: "Karpenter will mark it", class: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2")}, leaves: true},
		"class hashed anew":       {reason: "hashes of two versions cannot be compared", class: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2", "karpenter.k8s.aws/ec2nodeclass-hash-version", "v5")}},
		"class without a hash":    {reason: "Karpenter has not seen it yet", class: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", "")}},
		"class without a version": {reason: "nothing to compare", class: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2", "karpenter.k8s.aws/ec2nodeclass-hash-version", "")}},
		"claim without a hash":    {reason: "an early Karpenter made it", claim: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", "")}},
		"class changing": {
			reason: "the hash may be of a change that was taken back since",
			class:  []edit{generation(8), annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2")},
		},
		"class of Karpenter 1.0": {
			reason: "its conditions say not what they are of: the mark has to be awaited",
			class:  []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2"), saysOf(0, "Ready=True", 0)},
		},
		"not launched": {
			reason: "it will be launched with the class as it is then",
			claim:  []edit{says("Launched=Unknown AwaitingReconciliation", 0)}, class: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2")},
		},
		"pool changed":        {reason: "Karpenter will mark it", pool: []edit{annotated("karpenter.sh/nodepool-hash", "2")}, leaves: true},
		"pool hashed anew":    {reason: "hashes of two versions cannot be compared", pool: []edit{annotated("karpenter.sh/nodepool-hash", "2", "karpenter.sh/nodepool-hash-version", "v4")}},
		"pool changing":       {reason: "the hash may be of a change that was taken back since", pool: []edit{generation(4), annotated("karpenter.sh/nodepool-hash", "2")}},
		"AMI gone":            {reason: "the class selects others now", claim: []edit{set("ami-0", "status", "imageID")}, leaves: true},
		"AMI of another kind": {reason: "one that the class selects for any instance type is in doubt", claim: []edit{set("ami-2", "status", "imageID")}},
		"AMI not known":       {reason: "nothing to compare", claim: []edit{without("status", "imageID")}},
		"no AMIs":             {reason: "a class that found none has lost them all at once, not each node its own", claim: []edit{set("ami-0", "status", "imageID")}, class: []edit{set([]any{}, "status", "amis")}},
		"AMI without an id":   {reason: "it may be this one", claim: []edit{set("ami-0", "status", "imageID")}, class: []edit{set([]any{map[string]any{"name": "x"}}, "status", "amis")}},
		"AMIs not ready":      {reason: "the list is not to be trusted", claim: []edit{set("ami-0", "status", "imageID")}, class: []edit{says("AMIsReady=False AMINotFound", 0)}},
		"AMIs of an older generation": {
			reason: "the list is of another selector",
			claim:  []edit{set("ami-0", "status", "imageID")}, class: []edit{generation(8)},
		},
		"AMIs of Karpenter 1.0": {
			reason: "nobody says which selector the list is of",
			claim:  []edit{set("ami-0", "status", "imageID")}, class: []edit{saysOf(0, "AMIsReady=True", 0)},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := fleet.Of("gpu", newClass(c.class...), items(newClaim("1", c.claim...)), items(newPool("a", c.pool...)))
			if got := f.Pools(applied)[0].Staying == 0; got != c.leaves {
				t.Errorf("%s: leaves is %v", c.reason, got)
			}
		})
	}
}

func TestCurrent(t *testing.T) {
	other := annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2")
	cases := map[string]struct {
		reason       string
		claim, class []edit
		applied      time.Time
		want         bool
	}{
		"launched with the class as it is": {reason: "the hashes are equal, whenever that was", applied: applied, want: true},
		"nothing applied":                  {reason: "then no node can have it", want: false},
		"launched before":                  {reason: "the class was another", claim: []edit{other}, applied: applied},
		"launched since":                   {reason: "without hashes the time tells", claim: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash", ""), created(time.Second)}, applied: applied, want: true},
		"launched in the same second":      {reason: "objects have whole seconds", claim: []edit{other, created(0)}, applied: applied.Add(900 * time.Millisecond), want: true},
		"class changed since":              {reason: "its tags did, say, and the snapshot did not", claim: []edit{other, created(time.Minute)}, applied: applied, want: true},
		"hashed anew":                      {reason: "hashes of two versions cannot be compared, and the node is older", class: []edit{annotated("karpenter.k8s.aws/ec2nodeclass-hash-version", "v5")}, applied: applied},
		"class just written":               {reason: "the hash is still the one from before the write", class: []edit{generation(8)}, applied: applied},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := fleet.Of("gpu", newClass(c.class...), items(newClaim("1", c.claim...)), items(newPool("a")))
			pool := f.Pools(c.applied)[0]
			if got := pool.Current == 1; got != c.want || pool.Current+pool.Outdated != 1 {
				t.Errorf("%s: got %+v", c.reason, pool)
			}
		})
	}
}
