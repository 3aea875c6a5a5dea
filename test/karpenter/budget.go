package karpenter

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// defaultBudget is the NodePool schema's for a pool without budgets.
const defaultBudget = "10%"

// reasonDrifted is drift's in budgets.
const reasonDrifted = "Drifted"

// allowedDrift is how many of a pool's nodes may be replaced at a time because they drifted.
func (p *Player) allowedDrift(pool *unstructured.Unstructured, nodes int) (int, error) {
	budgets := entries(pool.Object, "spec", "disruption", "budgets")
	if field(pool.Object, "spec", "disruption", "budgets") == nil {
		budgets = []map[string]any{{"nodes": defaultBudget}}
	}
	allowed := math.MaxInt
	for _, budget := range budgets {
		reasons, _, _ := unstructured.NestedStringSlice(budget, "reasons")
		if reasons != nil && !slices.Contains(reasons, reasonDrifted) {
			continue
		}
		active, err := p.isActive(budget)
		if err != nil {
			return 0, fmt.Errorf("reading the budgets of NodePool %s: %w", pool.GetName(), err)
		}
		if !active {
			continue
		}
		given := intstr.Parse(text(budget, "nodes"))
		atOnce, err := intstr.GetScaledValueFromIntOrPercent(&given, nodes, true)
		if err != nil {
			return 0, fmt.Errorf("reading the budgets of NodePool %s: %w", pool.GetName(), err)
		}
		allowed = min(allowed, atOnce)
	}
	return allowed, nil
}

// isActive looks back by the budget's duration: when its schedule has come up since, it is active. Without a schedule it
// always is.
func (p *Player) isActive(budget map[string]any) (bool, error) {
	given := text(budget, "schedule")
	if given == "" {
		return true, nil
	}
	schedule, err := cron.ParseStandard("TZ=UTC " + given)
	if err != nil {
		return false, err
	}
	duration, err := time.ParseDuration(text(budget, "duration"))
	if err != nil {
		return false, err
	}
	now := p.Clock.Now().UTC()
	return !schedule.Next(now.Add(-duration)).After(now), nil
}
