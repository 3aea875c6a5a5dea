package main

// promise is something that Larder is meant to do, and the tests that show it.
type promise struct {
	title string
	// patterns are regular expressions for "folder.TestName"; each must match a test.
	patterns []string
	// besides is what no single test can show.
	besides []string
}

var promises = []promise{
	{
		title:    "A house that keeps its order: layout, import rule, generated files, documents",
		patterns: []string{`hack/verification\..*`, `test/controlplane\.TestExamplesInTheDocuments`},
		besides: []string{"`make lint` fails on an import that points the wrong way or on an AWS SDK import outside of `internal/aws`. " +
			"`make verify` fails on a stale generated file."},
	},
	{
		title:    "A control plane from anywhere, with Karpenter's own CRDs",
		patterns: []string{`test/controlplane\.TestControlPlane`},
		besides:  []string{"`hack/envtest-assets.sh` is what every target that needs a control plane begins with."},
	},
	{
		title:    "An API whose every rule has a sentence to act on",
		patterns: []string{`test/controlplane\.TestControlPlane`, `controllers/binding\.TestControlPlane`},
	},
	{
		title: "A builder that writes what a pull would leave, the same bytes every time",
		patterns: []string{
			`internal/image\..*`, `internal/layer\..*`, `internal/ext4\..*`, `internal/ctrstore\..*`, `internal/volume\..*`,
		},
	},
	{
		title:    "An upload to EBS that is idempotent, bounded, verified and leaves nothing half-made",
		patterns: []string{`internal/aws\..*`, `internal/aws/ebs\..*`},
	},
	{
		title:    "A strict double of AWS, and a registry with faults",
		patterns: []string{`test/fakeaws\..*`, `test/fakeaws/cmd/fakeaws\..*`, `test/registry\..*`},
	},
	{
		title: "Controllers that survive a crash at any moment, change no other device, name a rival, restore, and hold a snapshot in use",
		patterns: []string{
			`controllers/snapshot\..*`, `controllers/binding\..*`, `controllers/binding/ec2nodeclass\..*`,
			`test/e2e\.TestFromImagesToNodesAndBack`, `test/e2e\.TestOperatorIsKilledInTheMiddleOfABuild`, `test/e2e\.TestSomethingIsWrong`,
		},
	},
	{
		title:    "A command line that builds and inspects, for scripts and for people",
		patterns: []string{`cmd/larder\..*`, `test/node\.TestNodeBuildAndInspectNeedNoPrivileges`},
	},
	{
		title:    "A real containerd that takes the volume for its own, with the registry stopped",
		patterns: []string{`test/node\..*`},
	},
	{
		title:    "A demo of the whole on one machine",
		patterns: []string{`test/e2e\.TestFromImagesToNodesAndBack`},
		besides:  []string{"`make demo` shows the same to a person."},
	},
}
