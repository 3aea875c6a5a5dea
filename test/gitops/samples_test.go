package gitops_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// pool is a file of config/samples/karpenter: all that a team has of one kind of node.
type pool struct {
	snapshots, classes, nodePools map[string]*unstructured.Unstructured
	binding                       v1alpha1.NodeClassBinding
}

func samples(t *testing.T) map[string]pool {
	files, err := filepath.Glob(filepath.Join(root(t), "config", "samples", "karpenter", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample: %v", err)
	}
	pools := map[string]pool{}
	for _, file := range files {
		pools[filepath.Base(file)] = readPool(t, file)
	}
	return pools
}

func readPool(t *testing.T, file string) pool {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := pool{map[string]*unstructured.Unstructured{}, map[string]*unstructured.Unstructured{}, map[string]*unstructured.Unstructured{}, v1alpha1.NodeClassBinding{}}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return p
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch object.GetKind() {
		case "ImageCacheSnapshot":
			p.snapshots[object.GetName()] = object
		case "EC2NodeClass":
			p.classes[object.GetName()] = object
		case "NodePool":
			p.nodePools[object.GetName()] = object
		case "NodeClassBinding":
			sent, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict(sent, &p.binding); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		default:
			t.Errorf("%s: a %s is not part of a sample", file, object.GetKind())
		}
	}
}

// TestSamplesHangTogether wants each sample to be whole: a binding to a snapshot and a class that are there, and
// NodePools of the class that the binding writes.
func TestSamplesHangTogether(t *testing.T) {
	for file, p := range samples(t) {
		target, source := p.binding.Spec.Target.EC2NodeClass, p.binding.Spec.Snapshot
		class := p.classes[target.Name]
		if class == nil {
			t.Errorf("%s: the binding's class %q is not in it", file, target.Name)
			continue
		}
		if source.Ref != nil && p.snapshots[source.Ref.Name] == nil {
			t.Errorf("%s: the binding's snapshot %q is not in it", file, source.Ref.Name)
		}
		devices, _, err := unstructured.NestedSlice(class.Object, "spec", "blockDeviceMappings")
		if err != nil || !slices.ContainsFunc(devices, func(device any) bool {
			mapping, _ := device.(map[string]any)
			return mapping["deviceName"] == target.Device.Name
		}) {
			t.Errorf("%s: the class does not have %s (%v)", file, target.Device.Name, err)
		}
		written := target.Name
		if target.Derive != nil {
			written = target.Derive.Name
		}
		if len(p.nodePools) == 0 {
			t.Errorf("%s: no NodePool", file)
		}
		for name, nodePool := range p.nodePools {
			used, _, err := unstructured.NestedString(nodePool.Object, "spec", "template", "spec", "nodeClassRef", "name")
			if err != nil || used != written {
				t.Errorf("%s: NodePool %s is of class %q, and the binding writes %q (%v)", file, name, used, written, err)
			}
		}
	}
}

// TestSampleMountsAsTheDocumentSays wants the user data that test/node runs: the text of docs/node-user-data.md.
func TestSampleMountsAsTheDocumentSays(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(root(t), "docs", "node-user-data.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(document), "```\nMIME-Version: 1.0\n")
	script, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/node-user-data.md shows no multipart user data")
	}
	p := samples(t)["al2023.yaml"]
	userData, _, err := unstructured.NestedString(p.classes[p.binding.Spec.Target.EC2NodeClass.Name].Object, "spec", "userData")
	if err != nil || userData != "MIME-Version: 1.0\n"+script {
		t.Errorf("the user data of config/samples/karpenter/al2023.yaml is not that of docs/node-user-data.md (%v)", err)
	}
}
