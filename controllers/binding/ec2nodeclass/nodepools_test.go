package ec2nodeclass

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
)

func requirement(key, operator string, values ...any) mapping {
	return mapping{"key": key, "operator": operator, "values": values}
}

func poolOf(spec mapping, requirements ...any) *unstructured.Unstructured {
	if spec == nil {
		spec = mapping{}
	}
	spec["template"] = mapping{"spec": mapping{"requirements": requirements}}
	return &unstructured.Unstructured{Object: mapping{"spec": spec}}
}

func TestArchitecturesOfNodes(t *testing.T) {
	amd64, arm64 := requirement(archLabel, "In", "amd64"), requirement(archLabel, "In", "arm64")
	labelled := poolOf(nil)
	_ = unstructured.SetNestedStringMap(labelled.Object, map[string]string{archLabel: "arm64"}, "spec", "template", "metadata", "labels")
	type pools = []*unstructured.Unstructured
	cases := map[string]struct {
		reason string
		amis   []any
		pools  pools
		want   []string
		known  bool
	}{
		"nothing said":                       {"Karpenter has nodes of both", nil, nil, []string{"amd64", "arm64"}, false},
		"by the AMIs":                        {"a node boots from one of them", []any{amd64}, nil, []string{"amd64"}, true},
		"by the pools":                       {"the AMIs are for both, the NodePools for one", []any{amd64, arm64}, pools{poolOf(nil, arm64)}, []string{"arm64"}, true},
		"by what pools exclude":              {"NotIn is In of the rest", nil, pools{poolOf(nil, requirement(archLabel, "NotIn", "amd64"))}, []string{"arm64"}, true},
		"by a label":                         {"a label that a pool sets is a requirement", nil, pools{labelled}, []string{"arm64"}, true},
		"a pool that says nothing":           {"it launches both", []any{amd64, arm64}, pools{poolOf(nil, amd64), poolOf(nil)}, []string{"amd64", "arm64"}, true},
		"pools without limits and no AMIs":   {"still only Karpenter says so", nil, pools{poolOf(nil)}, []string{"amd64", "arm64"}, false},
		"pools that no AMI of the class fit": {"no node is launched, and Karpenter says so", []any{amd64}, pools{poolOf(nil, arm64)}, []string{}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			class := bottlerocket()
			var amis []any
			for _, one := range tc.amis {
				amis = append(amis, mapping{"id": "ami-1", "requirements": []any{one}})
			}
			class.Object["status"] = mapping{"amis": amis}
			got, known := architecturesOf(class, tc.pools)
			if diff := cmp.Diff(tc.want, got); diff != "" || known != tc.known {
				t.Errorf("%s: known %v (-want +got):\n%s", tc.reason, known, diff)
			}
		})
	}
}

func TestBurst(t *testing.T) {
	limited := func(limits ...any) (pools []*unstructured.Unstructured) {
		for _, limit := range limits {
			pools = append(pools, poolOf(mapping{"limits": mapping{"nodes": limit, "cpu": "10000"}}))
		}
		return pools
	}
	cases := map[string]struct {
		reason string
		pools  []*unstructured.Unstructured
		claims int
		want   int64
	}{
		"nodes":                     {"all of them may be replaced at once", nil, 17, 17},
		"pools that may grow":       {"their limits add up, written as a number or as text", limited(int64(26), "25"), 1, 51},
		"pools that have grown":     {"more nodes than a limit that was lowered", limited(int64(5)), 9, 9},
		"a static pool":             {"Karpenter starts its replicas together", []*unstructured.Unstructured{poolOf(mapping{"replicas": int64(20)})}, 0, 20},
		"a limit that is no number": {"Karpenter would refuse it", limited("many", nil, true), 0, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := burst(tc.pools, tc.claims); got != tc.want {
				t.Errorf("%s: got %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

func TestSpotLaunchers(t *testing.T) {
	onDemand := poolOf(nil, requirement(capacityLabel, "In", "on-demand"))
	cases := map[string]struct {
		reason string
		pools  []*unstructured.Unstructured
		want   int
	}{
		"Spot among others":        {"a node may be a Spot instance", []*unstructured.Unstructured{onDemand, poolOf(nil, requirement(capacityLabel, "In", "spot", "on-demand"))}, 1},
		"no requirement":           {"Karpenter prefers Spot where it may", []*unstructured.Unstructured{poolOf(nil)}, 1},
		"no Spot":                  {"Karpenter's own role is enough", []*unstructured.Unstructured{onDemand}, 0},
		"pools that are not known": {"there may be no Spot", nil, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := spotLaunchers("gpu", tc.pools)
			if len(got) != tc.want || tc.want == 1 && got[0].Name != "a NodePool of EC2NodeClass gpu" {
				t.Errorf("%s: got %+v, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

func TestPreflightReadsTheClass(t *testing.T) {
	instanceStore := entry("/dev/xvdc", nil)
	delete(instanceStore, "ebs")
	class := bottlerocket(rootVolume, instanceStore, "no object", entry(dataDevice, mapping{"volumeSize": "30Gi"}))
	spec := class.Object["spec"].(mapping)
	spec["userData"], spec["instanceStorePolicy"] = "[settings]", "RAID0"
	before := class.DeepCopy()
	rate := v1alpha1.Device{VolumeInitializationRate: number(200)}
	snapshot := binding.Snapshot{ID: "snap-1", SizeGiB: 35}
	got := (&observation{class: class}).preflightInput(bindingWith(rate), snapshot)
	want := preflight.Input{
		Words: preflight.Words{
			Target: "EC2NodeClass gpu", Kind: "class", Device: "spec.target.ec2NodeClass.device", List: "spec.blockDeviceMappings",
			UserData: "spec.userData", InstanceStorePolicy: "spec.instanceStorePolicy", Architectures: "kubernetes.io/arch in the NodePools",
		},
		Device: dataDevice,
		Devices: []preflight.Device{
			{Name: "/dev/xvda", EBS: true, SizeGiB: 8}, {Name: "/dev/xvdc"}, {Name: dataDevice, EBS: true, SizeGiB: 30},
		},
		Family: "Bottlerocket", Stock: true, UserData: "[settings]", RAID0: true,
		Wanted: preflight.Volume{SizeGiB: 35, InitializationRate: 200}, Snapshot: snapshot, Architectures: []string{"amd64", "arm64"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before.Object, class.Object); diff != "" {
		t.Errorf("reading changed the class (-want +got):\n%s", diff)
	}
}

func TestAClassWithoutAListWouldLoseItsRoot(t *testing.T) {
	class := classWith(mapping{"amiSelectorTerms": []any{mapping{"alias": "al2023@latest"}}})
	plan := (&observation{class: class}).Plan(bindingWith(v1alpha1.Device{}), binding.Snapshot{}, time.Now())
	const want = "EC2NodeClass gpu has no spec.blockDeviceMappings, and a list with /dev/xvdb alone would replace the root device " +
		"that Karpenter adds for family AL2023: add the root device to spec.blockDeviceMappings first"
	if plan.Problem == nil || plan.Problem.Message != want {
		t.Errorf("got %v, want %s", plan.Problem, want)
	}
}
