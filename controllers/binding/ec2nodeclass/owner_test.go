package ec2nodeclass

import (
	"strings"
	"testing"
)

func TestRemedyIsTheWritersOwn(t *testing.T) {
	cases := map[string]struct {
		reason string
		says   []string
	}{
		"argocd-controller": {"one half without the other leaves each sync writing the list",
			[]string{"ignoreDifferences", "jsonPointers: [/spec/blockDeviceMappings]", "RespectIgnoreDifferences=true"}},
		"argocd-application-controller": {"the name of Argo CD without server-side apply",
			[]string{"ignoreDifferences", "RespectIgnoreDifferences=true"}},
		"kustomize-controller": {"Flux has a word for it from 2.9 on, and before only for the whole class",
			[]string{"from Flux 2.9 on, add to ignore {paths: [/spec/blockDeviceMappings], target: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}}",
				"kustomize.toolkit.fluxcd.io/ssa: IfNotPresent"}},
		"helm-controller": {"Helm itself writes only with an upgrade", []string{"driftDetection.ignore"}},
		"Terraform": {"what seems to be for it does not help",
			[]string{"out of the manifest", "ignore_changes does not", "spec.target.ec2NodeClass.derive"}},
		"kubectl-edit": {"nobody knows what a person means by it", []string{"leave spec.blockDeviceMappings of EC2NodeClass gpu alone"}},
	}
	for manager, tc := range cases {
		t.Run(manager, func(t *testing.T) {
			got := remedy(manager, "gpu")
			for _, part := range append(tc.says, "gpu", "blockDeviceMappings") {
				if !strings.Contains(got, part) {
					t.Errorf("%s: it does not say %q:\n%s", tc.reason, part, got)
				}
			}
		})
	}
}
