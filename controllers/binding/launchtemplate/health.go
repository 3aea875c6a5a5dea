package launchtemplate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// health is how instances get on with the snapshot in place, since it was applied.
func (o *observation) health(b *v1alpha1.NodeClassBinding, inPlace string) binding.Health {
	var health binding.Health
	if b.Status.AppliedTime == nil || inPlace == "" || o.problem != nil {
		return health
	}
	settled := true
	for i := range o.groups {
		g := &o.groups[i]
		working, broken, pending := o.count(b, g, inPlace)
		health.Working, health.Broken = health.Working+working, health.Broken+broken
		refreshing := g.refresh != nil && g.refresh.IsActive()
		if refreshing || pending {
			health.RetryAfter = atWork
		}
		settled = settled && !refreshing && o.isSettled(b, g, inPlace)
		problem := o.refreshFailed(b, g)
		if problem == nil && !refreshing { // a refresh that runs tries again by itself
			problem = launchFailed(g, inPlace, working)
		}
		if problem != nil && health.Failure == nil {
			health.Failure = problem
			health.Broken = max(health.Broken, 1)
		}
	}
	health.Proven = health.Failure == nil && health.Working > 0 && settled
	return health
}

// count tells how many instances of a group work with the snapshot, how many do not, and whether some are being launched.
func (o *observation) count(b *v1alpha1.NodeClassBinding, g *group, inPlace string) (working, broken int, pending bool) {
	for _, instance := range g.Instances {
		if instance.TemplateID != o.history.Template.ID || instance.IsLeaving() || !o.names(instance.Version, inPlace, b) {
			continue
		}
		switch {
		case instance.IsWorking():
			working++
		case !instance.Healthy:
			broken++
		case strings.HasPrefix(instance.State, "Pending"):
			pending = true
		}
	}
	return working, broken, pending
}

// isSettled tells whether nothing is left to replace, where that is asked for.
func (o *observation) isSettled(b *v1alpha1.NodeClassBinding, g *group, inPlace string) bool {
	if g.asked.InstanceRefresh == nil || g.refresh != nil && g.refresh.HasSucceeded() && o.isForPlace(b, g) {
		return true
	}
	for _, instance := range g.Instances {
		if !instance.IsLeaving() && !o.names(instance.Version, inPlace, b) {
			return false
		}
	}
	return true
}

// isForPlace tells whether a group's newest refresh is for what it was last asked to launch by.
func (o *observation) isForPlace(b *v1alpha1.NodeClassBinding, g *group) bool {
	return slices.ContainsFunc(o.placesOf(b, g), func(one place) bool { return o.isFor(g, one.asked) })
}

// isBlamed tells whether what a group's newest refresh came to is for the binding to answer: it is for a version that was made
// for it, or began since it applied one that it found.
func (o *observation) isBlamed(b *v1alpha1.NodeClassBinding, g *group) bool {
	since := !g.refresh.StartTime.Before(b.Status.AppliedTime.Time)
	return slices.ContainsFunc(o.placesOf(b, g), func(one place) bool {
		return o.isFor(g, one.asked) && (since || o.history.IsOurs(b.UID, one.asked))
	})
}

func (o *observation) refreshFailed(b *v1alpha1.NodeClassBinding, g *group) *binding.Problem {
	if g.asked.InstanceRefresh == nil || g.refresh == nil || !g.refresh.HasFailed() || !o.isBlamed(b, g) {
		return nil
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonUpdateFailed,
		Message: fmt.Sprintf("instance refresh %s of %s ended %s at %d %%%s", g.refresh.ID, g.title(), g.refresh.Status, g.refresh.Percentage,
			because(g.refresh.Reason)),
	}
}

// otherLaunches are words of EC2 and Auto Scaling for failed launches that no snapshot is to blame for.
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/CHAP_Troubleshooting.html
var otherLaunches = []string{
	"capacity", "not supported in your requested availability zone", "exceeded", "limit", "quota", "price", "subnet", "ami-", "image id",
	"security group", "key pair", "instance profile", "placement group", "not authorized to use launch template", "throttl",
}

// wordsOfVolumes outweigh them.
var wordsOfVolumes = []string{"snapshot", "volume", "block device", "blockdevice", "kms"}

// launchFailed blames a launch on the snapshot that speaks of it, or of volumes. Another failure without a known cause
// counts as long as nothing works with the snapshot.
func launchFailed(g *group, inPlace string, working int) *binding.Problem {
	for _, activity := range g.failed {
		text := strings.ToLower(activity.Message)
		contains := func(word string) bool { return strings.Contains(text, word) }
		another := contains("snap-") && !contains(inPlace)
		blamed := slices.ContainsFunc(wordsOfVolumes, contains) || working == 0 && !slices.ContainsFunc(otherLaunches, contains)
		if another || !blamed {
			continue
		}
		return &binding.Problem{
			Reason:  v1alpha1.ReasonLaunchFailed,
			Message: fmt.Sprintf("%s cannot launch instances: %s", g.title(), strings.TrimSuffix(activity.Message, ".")),
		}
	}
	return nil
}
