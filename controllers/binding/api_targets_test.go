package binding_test

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/test/controlplane"
)

// rawTargets are the smallest of each kind.
func rawTargets() map[string]map[string]any {
	return map[string]map[string]any{
		"ec2NodeClass":            {"name": "gpu", "device": xvdb()},
		"managedNodeGroup":        {"clusterName": "prod", "nodeGroupName": "gpu", "device": xvdb()},
		"launchTemplate":          {"name": "workers", "device": xvdb()},
		"batchComputeEnvironment": {"name": "training", "device": xvdb()},
		"ecsService":              {"cluster": "prod", "service": "inference", "volumeName": "models"},
		"volumeSnapshot":          {"namespace": "default", "name": "models"},
	}
}

// rawTarget binds the smallest target of a kind, with other fields beside or instead of its own; nil leaves one out.
func rawTarget(kind string, fields map[string]any) *unstructured.Unstructured {
	target := rawTargets()[kind]
	maps.Copy(target, fields)
	maps.DeleteFunc(target, func(_ string, value any) bool { return value == nil })
	return rawBinding(nil, func(spec map[string]any) { spec["target"] = map[string]any{kind: target} })
}

func withStrategy(object *unstructured.Unstructured, strategy string) *unstructured.Unstructured {
	object.Object["spec"].(map[string]any)["rollout"] = map[string]any{"strategy": strategy}
	return object
}

func withGroups(groups ...any) map[string]any { return map[string]any{"autoScalingGroups": groups} }

func refreshed(preferences map[string]any) map[string]any {
	return withGroups(map[string]any{"name": "a", "instanceRefresh": preferences})
}

func testTargetsAPI(t *testing.T, plane *controlplane.ControlPlane) {
	t.Run("accepted", func(t *testing.T) { testAcceptedTargets(t, plane.Admin) })
	t.Run("refused", func(t *testing.T) { testRefusedTargets(t, plane.Admin) })
	t.Run("immutable", func(t *testing.T) { testImmutableTargets(t, plane.Admin) })
	t.Run("columns", func(t *testing.T) { testColumns(t, plane) })
}

func testAcceptedTargets(t *testing.T, admin client.Client) {
	cases := map[string]*unstructured.Unstructured{
		"a template by its id":           rawTarget("launchTemplate", map[string]any{"name": nil, "id": "lt-0123456789abcdef0", "setDefault": true}),
		"a template, for new instances":  withStrategy(rawTarget("launchTemplate", withGroups(map[string]any{"name": "a"})), "NewNodesOnly"),
		"a template, with the next ones": withStrategy(rawTarget("launchTemplate", refreshed(map[string]any{})), "WithNextDrift"),
		"every preference": rawTarget("launchTemplate", refreshed(map[string]any{
			"minHealthyPercentage": int64(90), "maxHealthyPercentage": int64(190), "skipMatching": false, "checkpointPercentages": []any{int64(20), int64(100)},
			"checkpointDelay": "1h", "instanceWarmup": "0s", "bakeTime": "48h", "autoRollback": true,
		})),
		"a class of any strategy": withStrategy(rawTarget("ec2NodeClass", nil), "NewNodesOnly"),
		"a forced update":         rawTarget("managedNodeGroup", map[string]any{"force": true}),
		"a volume with everything": rawTarget("ecsService", map[string]any{
			"roleARN": "arn:aws:iam::111122223333:role/ecsInfrastructure", "filesystemType": "ext4", "volumeSize": "64Ti", "volumeType": "gp3",
			"iops": int64(3000), "throughput": int64(500), "volumeInitializationRate": int64(300),
		}),
		"a volume of io2":   rawTarget("ecsService", map[string]any{"volumeType": "io2", "iops": int64(100)}),
		"a class of claims": rawTarget("volumeSnapshot", map[string]any{"snapshotClassName": "ebs"}),
	}
	for kind := range rawTargets() {
		cases["the smallest "+kind] = rawTarget(kind, nil)
	}
	for name, object := range cases {
		if err := admin.Create(t.Context(), object, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testRefusedTargets(t *testing.T, admin client.Client) {
	cases := map[string]struct {
		reason string
		object *unstructured.Unstructured
		says   string
	}{
		"two targets": {
			"a binding holds one", rawBinding(nil, func(spec map[string]any) {
				spec["target"] = map[string]any{"launchTemplate": rawTargets()["launchTemplate"], "volumeSnapshot": rawTargets()["volumeSnapshot"]}
			}), "target takes exactly one of ec2NodeClass, managedNodeGroup, launchTemplate, batchComputeEnvironment, ecsService and volumeSnapshot",
		},
		"a template by id and name": {
			"they may be two", rawTarget("launchTemplate", map[string]any{"id": "lt-0123456789abcdef0"}), "target.launchTemplate takes exactly one of id and name",
		},
		"a template by neither": {"which one", rawTarget("launchTemplate", map[string]any{"name": nil}), "target.launchTemplate takes exactly one of id and name"},
		"no template's id": {
			"AWS would refuse it at each look", rawTarget("launchTemplate", map[string]any{"name": nil, "id": "lt-x"}), "launchTemplate.id must be a launch template's id",
		},
		"no template's name":    {"so it would that", rawTarget("launchTemplate", map[string]any{"name": "a b"}), "launchTemplate.name must be a launch template's name"},
		"no cluster's name":     {"and that", rawTarget("managedNodeGroup", map[string]any{"clusterName": "-a"}), "managedNodeGroup.clusterName must be an EKS cluster's name"},
		"no group's name":       {"and that", rawTarget("managedNodeGroup", map[string]any{"nodeGroupName": "a/b"}), "managedNodeGroup.nodeGroupName must be a node group's name"},
		"no environment's name": {"and that", rawTarget("batchComputeEnvironment", map[string]any{"name": "a.b"}), "batchComputeEnvironment.name must be a compute environment's name"},
		"no device": {
			"which one would be anybody's guess", rawTarget("batchComputeEnvironment", map[string]any{"device": nil}), "batchComputeEnvironment.device: Required value",
		},
		"a refresh for new instances only": {
			"a refresh replaces the others", withStrategy(rawTarget("launchTemplate", refreshed(map[string]any{})), "NewNodesOnly"),
			"an instanceRefresh replaces instances, which rollout.strategy NewNodesOnly forbids",
		},
		"a group twice": {"the two may differ", rawTarget("launchTemplate", withGroups(map[string]any{"name": "a"}, map[string]any{"name": "a"})), "Duplicate value"},
		"more than all": {
			"101 of 100 are no percentage", rawTarget("launchTemplate", refreshed(map[string]any{"minHealthyPercentage": int64(101)})), "should be less than or equal to 100",
		},
		"a maximum alone": {
			"Auto Scaling wants both", rawTarget("launchTemplate", refreshed(map[string]any{"maxHealthyPercentage": int64(110)})), "instanceRefresh.maxHealthyPercentage needs minHealthyPercentage",
		},
		"a maximum too far": {
			"Auto Scaling allows 100 between", rawTarget("launchTemplate", refreshed(map[string]any{"minHealthyPercentage": int64(50), "maxHealthyPercentage": int64(151)})),
			"instanceRefresh.maxHealthyPercentage must be from minHealthyPercentage to 100 above it",
		},
		"a delay without checkpoints": {
			"at which", rawTarget("launchTemplate", refreshed(map[string]any{"checkpointDelay": "1h"})), "instanceRefresh.checkpointDelay needs checkpointPercentages",
		},
		"a checkpoint at nothing": {
			"it would be passed at once", rawTarget("launchTemplate", refreshed(map[string]any{"checkpointPercentages": []any{int64(0)}})), "should be greater than or equal to 1",
		},
		"a warmup of more than a day": {"Auto Scaling's own bound", rawTarget("launchTemplate", refreshed(map[string]any{"instanceWarmup": "25h"})), "instanceRefresh.instanceWarmup must be from 0s to 24h"},
		"a bake time of three days":   {"Auto Scaling's own bound", rawTarget("launchTemplate", refreshed(map[string]any{"bakeTime": "72h"})), "instanceRefresh.bakeTime must be from 0s to 48h"},
		"throughput of io1": {
			"only gp3 has it to set", rawTarget("ecsService", map[string]any{"volumeType": "io1", "iops": int64(100), "throughput": int64(125)}), "ecsService.throughput is for gp3 volumes",
		},
		"io1 without iops":  {"AWS wants them", rawTarget("ecsService", map[string]any{"volumeType": "io1"}), "io1 and io2 volumes need ecsService.iops"},
		"a magnetic volume": {"ECS makes none from a snapshot", rawTarget("ecsService", map[string]any{"volumeType": "standard"}), `Unsupported value: "standard"`},
		"another filesystem": {
			"ECS knows three", rawTarget("ecsService", map[string]any{"filesystemType": "btrfs"}), `Unsupported value: "btrfs"`,
		},
		"no role": {"ECS wants an ARN", rawTarget("ecsService", map[string]any{"roleARN": "ecsInfrastructure"}), "ecsService.roleARN must be the ARN of an IAM role"},
		"a size too large": {
			"EBS ends at 64 TiB", rawTarget("ecsService", map[string]any{"volumeSize": "65Ti"}), "ecsService.volumeSize must be from 1Gi to 64Ti",
		},
		"no namespace": {"claims are in one", rawTarget("volumeSnapshot", map[string]any{"namespace": nil}), "volumeSnapshot.namespace: Required value"},
	}
	for _, kind := range []string{"managedNodeGroup", "batchComputeEnvironment", "ecsService"} {
		for _, strategy := range []string{"WithNextDrift", "NewNodesOnly"} {
			cases[kind+" with "+strategy] = struct {
				reason string
				object *unstructured.Unstructured
				says   string
			}{"AWS replaces everything", withStrategy(rawTarget(kind, nil), strategy), "rollout.strategy must be Roll for managedNodeGroup, batchComputeEnvironment and ecsService"}
		}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := admin.Create(t.Context(), tc.object, client.DryRunAll)
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: the answer is not Invalid, or does not say %q:\n%v", tc.reason, tc.says, err)
			}
		})
	}
}

func testImmutableTargets(t *testing.T, admin client.Client) {
	const device = "device.name cannot be changed: delete the binding"
	identities := map[string]map[string]string{
		"managedNodeGroup":        {"clusterName": "target.managedNodeGroup cannot name another group", "nodeGroupName": "target.managedNodeGroup cannot name another group", "device": device},
		"launchTemplate":          {"name": "target.launchTemplate cannot name another template", "device": device},
		"batchComputeEnvironment": {"name": "target.batchComputeEnvironment cannot name another environment", "device": device},
		"ecsService": {
			"cluster": "target.ecsService cannot name another service or volume", "service": "target.ecsService cannot name another service or volume",
			"volumeName": "target.ecsService cannot name another service or volume",
		},
		"volumeSnapshot": {"namespace": "target.volumeSnapshot cannot name another VolumeSnapshot", "name": "target.volumeSnapshot cannot name another VolumeSnapshot"},
	}
	for kind, fields := range identities {
		object := created(t, admin, rawTarget(kind, nil))
		for field, says := range fields {
			t.Run(kind+" "+field, func(t *testing.T) {
				other := any("other")
				if field == "device" {
					other = map[string]any{"name": "/dev/xvdc"}
				}
				refuses(t, admin, object, says, func(target map[string]any) { target[kind].(map[string]any)[field] = other })
			})
		}
		t.Run(kind+" for another kind", func(t *testing.T) {
			refuses(t, admin, object, "the kind of target cannot be changed: delete the binding", func(target map[string]any) {
				delete(target, kind)
				target["ec2NodeClass"] = rawTargets()["ec2NodeClass"]
			})
		})
	}
	byName := created(t, admin, rawTarget("launchTemplate", nil))
	t.Run("a template's id for its name", func(t *testing.T) {
		refuses(t, admin, byName, "target.launchTemplate cannot name another template", func(target map[string]any) {
			target["launchTemplate"] = map[string]any{"id": "lt-0123456789abcdef0", "device": xvdb()}
		})
	})
}

// created makes a binding that goes with the test.
func created(t *testing.T, admin client.Client, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), object); err != nil {
			t.Error(err)
		}
	})
	return object
}

func refuses(t *testing.T, admin client.Client, object *unstructured.Unstructured, says string, edit func(target map[string]any)) {
	t.Helper()
	changed := object.DeepCopy()
	edit(changed.Object["spec"].(map[string]any)["target"].(map[string]any))
	if err := admin.Update(t.Context(), changed); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), says) {
		t.Errorf("the answer is not Invalid, or does not say %q:\n%v", says, err)
	}
}

// testColumns asks for a table as kubectl does.
func testColumns(t *testing.T, plane *controlplane.ControlPlane) {
	want := map[string][]any{
		"ec2NodeClass": {"gpu", "/dev/xvdb"}, "managedNodeGroup": {"gpu", "/dev/xvdb"}, "launchTemplate": {"workers", "/dev/xvdb"},
		"batchComputeEnvironment": {"training", "/dev/xvdb"}, "ecsService": {"inference", ""}, "volumeSnapshot": {"models", ""},
	}
	for kind, cells := range want {
		object := created(t, plane.Admin, rawTarget(kind, nil))
		table := tableOf(t, plane.AdminConfig, object.GetName())
		got := map[string]any{}
		for i, column := range table.ColumnDefinitions {
			got[column.Name] = table.Rows[0].Cells[i]
			if got[column.Name] == nil {
				got[column.Name] = ""
			}
		}
		if diff := cmp.Diff(cells, []any{got["Target"], got["Device"]}); diff != "" {
			t.Errorf("the columns Target and Device of %s (-want +got):\n%s", kind, diff)
		}
	}
}

func tableOf(t *testing.T, config *rest.Config, name string) metav1.Table {
	t.Helper()
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	server, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Get().AbsPath("/apis/larder.dev/v1alpha1/nodeclassbindings/"+name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(answer, &table); err != nil || len(table.Rows) != 1 {
		t.Fatalf("%s as a table: %d rows, %v", name, len(table.Rows), err)
	}
	return table
}
