package preflight_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
)

// karpenter is how Karpenter's classes are spoken of.
var karpenter = preflight.Words{
	Target: "EC2NodeClass gpu", Kind: "class", Device: "spec.target.ec2NodeClass.device", List: "spec.blockDeviceMappings",
	UserData: "spec.userData", InstanceStorePolicy: "spec.instanceStorePolicy", Architectures: "kubernetes.io/arch in the NodePools",
}

func device(name string, gib int64) preflight.Device {
	return preflight.Device{Name: name, EBS: true, SizeGiB: gib}
}

// bottlerocket is a pool that nothing is wrong with.
func bottlerocket() preflight.Input {
	return preflight.Input{
		Words:   karpenter,
		Family:  amifamily.Bottlerocket,
		Stock:   true,
		Devices: []preflight.Device{device("/dev/xvda", 8), device("/dev/xvdb", 40)},
		Device:  "/dev/xvdb",
		Wanted:  preflight.Volume{SizeGiB: 40},
		Snapshot: binding.Snapshot{ID: "snap-1", Format: v1alpha1.FormatBottlerocket, SizeGiB: 16, StoredBytes: 12 << 30,
			Platforms: []string{"linux/amd64", "linux/arm64"}},
	}
}

// al2023 is one whose nodes mount the device by the script that the documentation has.
func al2023(t testing.TB) preflight.Input {
	in := bottlerocket()
	in.Family, in.RootAddedBy = amifamily.AL2023, "Karpenter"
	in.Snapshot.Format = v1alpha1.FormatContainerd
	in.UserData = documentedUserData(t)
	return in
}

// documentedUserData is the block of docs/node-user-data.md that is a MIME archive.
func documentedUserData(t testing.TB) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/node-user-data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), "\n```\nMIME-Version")
	block, _, closed := strings.Cut(after, "\n```\n")
	if !found || !closed {
		t.Fatal("docs/node-user-data.md has no block that begins with MIME-Version")
	}
	return "MIME-Version" + block
}

// row is one pool and what a check says of it.
type row struct {
	reason string
	in     preflight.Input
	change func(*preflight.Input)
	// problem is the reason of the problem, empty for none, and says what its message, or else that of the first
	// warning, contains.
	problem, says string
	// warnings are the reasons of all of them.
	warnings []string
}

func run(t *testing.T, rows map[string]row) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			if r.change != nil {
				r.change(&r.in)
			}
			problem, warnings := preflight.Check(r.in)
			expect(t, r, problem, warnings)
		})
	}
}

func expect(t *testing.T, r row, problem *binding.Problem, warnings []binding.Warning) {
	t.Helper()
	got, message := "", ""
	var reasons []string
	for _, warning := range warnings {
		reasons = append(reasons, warning.Reason)
	}
	if len(warnings) > 0 {
		message = warnings[0].Message
	}
	if problem != nil {
		got, message = problem.Reason, problem.Message
		if !problem.Stalled {
			t.Errorf("%s: %s does not ask for a person", r.reason, problem.Reason)
		}
	}
	if got != r.problem {
		t.Errorf("%s: got problem %q, want %q\n%s", r.reason, got, r.problem, message)
	}
	if diff := cmp.Diff(r.warnings, reasons); diff != "" {
		t.Errorf("%s: warnings (-want +got):\n%s\n%+v", r.reason, diff, warnings)
	}
	if !strings.Contains(message, r.says) {
		t.Errorf("%s: the message does not say %q:\n%s", r.reason, r.says, message)
	}
	if strings.Contains(message, "%!") {
		t.Errorf("%s: the message is wrongly formatted:\n%s", r.reason, message)
	}
}

func TestPoolsThatNothingIsWrongWith(t *testing.T) {
	run(t, map[string]row{
		"Bottlerocket": {reason: "the usual pool", in: bottlerocket()},
		"AL2023":       {reason: "with the script of the documentation", in: al2023(t)},
		"no snapshot yet": {reason: "what it will be is not known, and no reason to warn", in: bottlerocket(),
			change: func(in *preflight.Input) { in.Snapshot, in.Wanted = binding.Snapshot{}, preflight.Volume{} }},
	})
}

func TestTheWorstProblemComesFirst(t *testing.T) {
	in := al2023(t)
	in.UserData, in.RAID0 = "", true
	in.Snapshot.Format = v1alpha1.FormatFiles
	in.Snapshot.FastRestore = true
	in.Wanted.InitializationRate = 100
	problem, warnings := preflight.Check(in)
	expect(t, row{reason: "files are no use whatever the user data says, and warnings are all told", problem: "FormatMismatch",
		warnings: []string{"InitializationRateIgnoresFastSnapshotRestore"}}, problem, warnings)
}
