package binding_test

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// rawBinding is unstructured, so that a case can leave out and misspell what the Go types cannot.
func rawBinding(device map[string]any, edit func(spec map[string]any)) *unstructured.Unstructured {
	spec := map[string]any{
		"snapshot": map[string]any{"ref": map[string]any{"name": "inference"}},
		"target":   map[string]any{"ec2NodeClass": map[string]any{"name": "gpu", "device": device}},
		"rollout":  map[string]any{"strategy": "Roll"},
	}
	if edit != nil {
		edit(spec)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("NodeClassBinding"))
	object.SetGenerateName("api-")
	return object
}

func xvdb(more ...any) map[string]any {
	fields := map[string]any{"name": "/dev/xvdb"}
	for i := 0; i < len(more); i += 2 {
		fields[more[i].(string)] = more[i+1]
	}
	return fields
}

func testAPI(t *testing.T, admin client.Client) {
	t.Run("accepted", func(t *testing.T) {
		for name, device := range map[string]map[string]any{
			"smallest":   xvdb(),
			"everything": xvdb("volumeSize", "59000Gi", "volumeType", "gp3", "iops", int64(16000), "throughput", int64(1000)),
			"io2":        xvdb("volumeType", "io2", "iops", int64(256000)),
			"SCSI name":  {"name": "/dev/sdf"},
		} {
			if err := admin.Create(t.Context(), rawBinding(device, nil), client.DryRunAll); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("refused", func(t *testing.T) { testRefusedByAPI(t, admin) })
	t.Run("immutable", func(t *testing.T) { testImmutable(t, admin) })
}

func testRefusedByAPI(t *testing.T, admin client.Client) {
	cases := map[string]struct {
		reason string
		object *unstructured.Unstructured
		says   string
	}{
		"no strategy": {
			reason: "whether nodes may be replaced is for the user to say",
			object: rawBinding(xvdb(), func(spec map[string]any) { spec["rollout"] = map[string]any{} }),
			says:   "spec.rollout.strategy: Required value",
		},
		"unknown strategy": {
			reason: "a strategy that Larder does not know must not be taken for another",
			object: rawBinding(xvdb(), func(spec map[string]any) { spec["rollout"] = map[string]any{"strategy": "Whenever"} }),
			says:   `supported values: "WithNextDrift", "NewNodesOnly", "Roll"`,
		},
		"no target": {
			reason: "a binding binds something",
			object: rawBinding(xvdb(), func(spec map[string]any) { spec["target"] = map[string]any{} }),
			says:   "target takes exactly one of ec2NodeClass",
		},
		"no snapshot": {
			reason: "to something",
			object: rawBinding(xvdb(), func(spec map[string]any) { spec["snapshot"] = map[string]any{} }),
			says:   "snapshot takes exactly one of ref, ssmParameter and id",
		},
		"two snapshots": {
			reason: "which of them would be anybody's guess",
			object: rawBinding(xvdb(), func(spec map[string]any) {
				spec["snapshot"] = map[string]any{"id": "snap-0123456789abcdef0", "ssmParameter": "/larder/inference"}
			}),
			says: "snapshot takes exactly one of ref, ssmParameter and id",
		},
		"no snapshot's id": {
			reason: "AWS would refuse it at each look",
			object: rawBinding(xvdb(), func(spec map[string]any) { spec["snapshot"] = map[string]any{"id": "ami-0123456789abcdef0"} }),
			says:   "snapshot.id must be a snapshot's id",
		},
		"no parameter's name": {
			reason: "AWS would refuse it at each look",
			object: rawBinding(xvdb(), func(spec map[string]any) { spec["snapshot"] = map[string]any{"ssmParameter": "a b"} }),
			says:   "snapshot.ssmParameter must be a parameter's name",
		},
		"derived from itself": {
			reason: "a class cannot be equal to itself but for the device",
			object: rawBinding(xvdb(), func(spec map[string]any) {
				spec["target"].(map[string]any)["ec2NodeClass"].(map[string]any)["derive"] = map[string]any{"name": "gpu"}
			}),
			says: "target.ec2NodeClass.derive.name must not be the name of the class itself",
		},
		"window without fields": {
			reason: "it would never open",
			object: rawBinding(xvdb(), func(spec map[string]any) {
				spec["rollout"].(map[string]any)["window"] = map[string]any{"schedule": "tonight", "duration": "1h"}
			}),
			says: "window.schedule must have five fields",
		},
		"a rollback after a second": {
			reason: "no node starts in a second",
			object: rawBinding(xvdb(), func(spec map[string]any) {
				spec["rollout"].(map[string]any)["rollback"] = map[string]any{"after": "1s"}
			}),
			says: "rollback.after must be from 1m to 24h, or 0s to never roll back",
		},
		"device name": {
			reason: "EC2 takes a few forms only",
			object: rawBinding(map[string]any{"name": "xvdb"}, nil),
			says:   "device.name must be a device name as EC2 takes it, for instance /dev/xvdb",
		},
		"size too large": {
			reason: "Karpenter's own field ends there",
			object: rawBinding(xvdb("volumeSize", "59001Gi"), nil),
			says:   "device.volumeSize must be from 1Gi to 59000Gi, the largest that an EC2NodeClass takes",
		},
		"size too small": {
			reason: "EBS begins at one GiB",
			object: rawBinding(xvdb("volumeSize", "1Mi"), nil),
			says:   "device.volumeSize must be from 1Gi to 59000Gi",
		},
		"volume type": {
			reason: "magnetic volumes are no place for a cache",
			object: rawBinding(xvdb("volumeType", "st1"), nil),
			says:   `Unsupported value: "st1"`,
		},
		"throughput of io2": {
			reason: "only gp3 has it to set",
			object: rawBinding(xvdb("volumeType", "io2", "throughput", int64(500)), nil),
			says:   "device.throughput is for gp3 volumes: leave it out, or set device.volumeType to gp3",
		},
		"iops of gp2": {
			reason: "gp2 has what its size gives",
			object: rawBinding(xvdb("volumeType", "gp2", "iops", int64(3000)), nil),
			says:   "device.iops is for gp3, io1 and io2 volumes: leave it out, or set another device.volumeType",
		},
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

func testImmutable(t *testing.T, admin client.Client) {
	object := rawBinding(xvdb(), nil)
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), object); err != nil {
			t.Error(err)
		}
	})
	cases := map[string]struct {
		says, value string
		path        []string
	}{
		"class":  {"target.ec2NodeClass.name cannot be changed: delete the binding", "other", []string{"spec", "target", "ec2NodeClass", "name"}},
		"device": {"device.name cannot be changed: delete the binding", "/dev/xvdc", []string{"spec", "target", "ec2NodeClass", "device", "name"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			changed := object.DeepCopy()
			if err := unstructured.SetNestedField(changed.Object, tc.value, tc.path...); err != nil {
				t.Fatal(err)
			}
			if err := admin.Update(t.Context(), changed); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the answer is not Invalid, or does not say %q:\n%v", tc.says, err)
			}
		})
	}
}
