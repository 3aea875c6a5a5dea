package fleet_test

import (
	"testing"
	"time"

	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

func TestClaimChanged(t *testing.T) {
	cases := map[string]struct {
		reason string
		change edit
		want   bool
	}{
		"nothing":        {reason: "an update may change nothing that counts", change: generation(2)},
		"daily life":     {reason: "Karpenter notes pods and consolidation on it", change: says("Consolidatable=True", time.Minute)},
		"another date":   {reason: "a condition is dated anew, and says the same", change: says("Ready=True", time.Minute)},
		"message":        {reason: "Karpenter words a failure anew with every try", change: says("Launched=True : anew", time.Minute)},
		"Ready":          {reason: "it is broken, or works", change: says("Ready=False x", 0), want: true},
		"launch failed":  {reason: "the snapshot may be bad", change: says("Launched=Unknown LaunchFailed", 0), want: true},
		"drifted":        {reason: "it is being replaced", change: says("Drifted=True AMIDrift", 0), want: true},
		"being deleted":  {reason: "it is a node no more", change: deleted, want: true},
		"hashed":         {reason: "it tells what it was launched with", change: annotated("karpenter.k8s.aws/ec2nodeclass-hash", "2"), want: true},
		"hashed by pool": {reason: "it tells what it was made from", change: annotated("karpenter.sh/nodepool-hash", "2"), want: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := fleet.ClaimChanged(newClaim("1"), newClaim("1", c.change)); got != c.want {
				t.Errorf("%s: got %v", c.reason, got)
			}
		})
	}
}

func TestPoolChanged(t *testing.T) {
	cases := map[string]struct {
		reason string
		change edit
		want   bool
	}{
		"counts":       {reason: "Karpenter counts its nodes all the time", change: set(int64(3), "status", "nodes")},
		"limits":       {reason: "how many nodes there may be is another matter", change: set(map[string]any{"cpu": "10"}, "spec", "limits")},
		"budgets":      {reason: "it may hold drift now", change: set([]any{map[string]any{"nodes": "0"}}, "spec", "disruption", "budgets"), want: true},
		"class":        {reason: "it launches with another", change: of("cpu", "spec", "template", "spec", "nodeClassRef"), want: true},
		"hashed":       {reason: "its nodes drift", change: annotated("karpenter.sh/nodepool-hash", "2"), want: true},
		"not settled":  {reason: "its hash is not to be trusted until Karpenter has looked", change: generation(4), want: true},
		"registration": {reason: "nodes do not come", change: says("NodeRegistrationHealthy=False LaunchFailed", 0), want: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := fleet.PoolChanged(newPool("a"), newPool("a", c.change)); got != c.want {
				t.Errorf("%s: got %v", c.reason, got)
			}
		})
	}
}
