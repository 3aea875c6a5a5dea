// Package story tells what a binding does on a pool with nodes, chapter by chapter, over a real API server and with the
// operator as a process of its own: the demo prints it, and a test fails when a chapter does not come true. AWS is a
// double, and Karpenter's part is played by package karpenter.
//
// Each chapter waits for what it says, for so long at most, and returns an error if it does not come.
package story

import (
	"context"

	"k8s.io/utils/clock"

	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/karpenter"
)

// Chapter is a part of the story. Each goes on where the one before it ended.
type Chapter struct {
	Name string
	Tell func(*Story, context.Context) error
}

// Chapters returns the whole story. What another account's snapshot has to prove takes a minute, and so does what goes wrong
// with ours: both minutes are the same.
func Chapters() []Chapter {
	return []Chapter{
		{"a pool without Larder", (*Story).begin},
		{"the preview", (*Story).preview},
		{"the next drift", (*Story).nextDrift},
		{"a class that Git owns", (*Story).derive},
		{"a snapshot of another account", (*Story).foreign},
		{"a window, a pause and a person", (*Story).window},
		{"a snapshot that EC2 refuses", (*Story).rollback},
		{"a snapshot that has proven itself", (*Story).proof},
		{"a newer snapshot", (*Story).heal},
		{"a GitOps rival", (*Story).fight},
		{"peace with GitOps", (*Story).peace},
		{"the end", (*Story).end},
	}
}

// Flags are those of the operator in the story.
func Flags() []string { return []string{"--allowed-snapshot-owners", publisher} }

// Story is what the chapters share.
type Story struct {
	e2e.Narrator
	karpenter *karpenter.Player
	dir       string
	// refused are snapshots that EC2 launches nothing from, though nothing that it says of them tells why: the policy of a
	// key may be such that only the launch itself finds out.
	refused map[string]bool
	// releases counts those of the AMI.
	releases int
	// original is the spec of the first class before Larder, as the API server prints it.
	original string
	// first is the snapshot of the first revision, bad one that was refused.
	first, bad string
}

// New returns a story that is yet to be told. Files are written to dir.
func New(narrator e2e.Narrator, dir string) *Story {
	s := &Story{Narrator: narrator, dir: dir, refused: map[string]bool{}}
	s.karpenter = &karpenter.Player{Client: narrator.Stack.Admin, Clock: clock.RealClock{}, Usable: s.isUsable}
	return s
}

// isUsable is EC2's answer to a launch.
func (s *Story) isUsable(id string) bool {
	for _, snapshot := range s.Stack.AWS.Snapshots() {
		if snapshot.ID == id {
			return snapshot.State == "completed" && !s.refused[id]
		}
	}
	return false
}
