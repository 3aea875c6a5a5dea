package ec2nodeclass

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGoldenFiles compares every request that Larder makes of a class, and the class as it is then, byte by byte.
func TestGoldenFiles(t *testing.T) {
	own := entry(dataDevice, mapping{"volumeSize": "30Gi", "encrypted": true, "deleteOnTermination": true})
	device := v1alpha1.Device{IOPS: number(4000), VolumeInitializationRate: number(200)}

	t.Run("in place", func(t *testing.T) {
		p := newPlayer(t, named(bottlerocket(rootVolume, own), "gpu"))
		b := bindingWith(device)
		p.play("in-place-first", p.observe(b).Plan(b, stored, time.Now()).Write)
		p.play("in-place-renewal", p.observe(b).Plan(b, staged, time.Now()).Write)
		p.edit("gpu", "argocd-controller", func(spec map[string]any) { spec["blockDeviceMappings"] = []any{rootVolume, own} })
		p.play("in-place-mend", p.observe(b).Plan(b, staged, time.Now()).Write)
		p.play("in-place-without", p.observe(b).PlanWithout(b, time.Now()).Write)
		p.act(p.observe(b).Plan(b, staged, time.Now()).Write)
		p.play("in-place-restore", p.observe(b).PlanEnd(b, time.Now()).Write)
	})
	t.Run("in place, left", func(t *testing.T) {
		p := newPlayer(t, named(bottlerocket(rootVolume, own), "gpu"))
		b := bindingWith(device)
		b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
		p.act(p.observe(b).Plan(b, stored, time.Now()).Write)
		p.play("in-place-leave", p.observe(b).PlanEnd(b, time.Now()).Write)
	})
	t.Run("in place, without a list", func(t *testing.T) {
		p := newPlayer(t, named(bottlerocket(), "gpu"))
		b := bindingWith(device)
		p.play("in-place-without-a-list-first", p.observe(b).Plan(b, stored, time.Now()).Write)
		p.play("in-place-without-a-list-restore", p.observe(b).PlanEnd(b, time.Now()).Write)
	})
	t.Run("derive", func(t *testing.T) {
		p := newPlayer(t, named(bottlerocket(rootVolume, own), "gpu"))
		b := derivingBinding(device)
		p.play("derive-create", p.observe(b).Plan(b, stored, time.Now()).Write)
		p.edit("gpu", "kubectl-edit", func(spec map[string]any) { spec["tags"] = map[string]any{"team": "ml"} })
		p.play("derive-upkeep", p.observe(b).Plan(b, staged, time.Now()).Upkeep)
		p.play("derive-renewal", p.observe(b).Plan(b, staged, time.Now()).Write)
		p.edit("gpu-larder", "kubectl-edit", func(spec map[string]any) { spec["role"] = "theirs" })
		p.play("derive-mend", p.observe(b).Plan(b, staged, time.Now()).Write)
		p.play("derive-without", p.observe(b).PlanWithout(b, time.Now()).Write)
		p.play("derive-delete", p.observe(b).PlanEnd(b, time.Now()).Write)
	})
	t.Run("derive, left", func(t *testing.T) {
		p := newPlayer(t, named(bottlerocket(rootVolume, own), "gpu"))
		b := derivingBinding(device)
		b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
		p.act(p.observe(b).Plan(b, stored, time.Now()).Write)
		p.play("derive-leave", p.observe(b).PlanEnd(b, time.Now()).Write)
	})
}

// player makes writes one after the other, and notes the requests of each.
type player struct {
	*testing.T
	cluster  client.WithWatch
	target   *Target
	requests bytes.Buffer
}

func newPlayer(t *testing.T, objects ...client.Object) *player {
	p := &player{T: t, cluster: newCluster(t, nil, append(objects, definition("volumeInitializationRate"))...)}
	recording := interceptor.NewClient(p.cluster, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			options := (&client.ApplyOptions{}).ApplyOptions(opts)
			body, err := json.Marshal(object)
			p.note(fmt.Sprintf("apply, force: %t, field manager: %s", *options.Force, options.FieldManager), body, err)
			return c.Apply(ctx, object, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
			options := (&client.PatchOptions{}).ApplyOptions(opts)
			body, err := patch.Data(object)
			p.note(fmt.Sprintf("patch %s of %s, field manager: %s", patch.Type(), object.GetName(), options.FieldManager), body, err)
			return c.Patch(ctx, object, patch, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.DeleteOption) error {
			body, err := json.Marshal((&client.DeleteOptions{}).ApplyOptions(opts).AsDeleteOptions())
			p.note("delete "+object.GetName(), body, err)
			return c.Delete(ctx, object, opts...)
		},
	})
	p.target = &Target{Client: recording, Reader: p.cluster}
	return p
}

func (p *player) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *player) note(request string, body []byte, err error) {
	p.Helper()
	p.must(err)
	text, err := yaml.JSONToYAML(body)
	p.must(err)
	fmt.Fprintf(&p.requests, "# %s\n%s---\n", request, timeless(text))
}

func (p *player) observe(b *v1alpha1.NodeClassBinding) binding.Observation {
	p.Helper()
	return observed(p.T, p.cluster, b)
}

func (p *player) act(planned binding.Write) {
	p.Helper()
	if planned == nil {
		p.Fatal("nothing to write")
	}
	p.must(p.target.Act(p.Context(), planned))
}

func (p *player) edit(name, manager string, change func(spec map[string]any)) {
	p.Helper()
	class := p.read(name)
	change(specOf(class))
	p.must(p.cluster.Update(p.Context(), class, client.FieldOwner(manager)))
}

func (p *player) read(name string) *unstructured.Unstructured {
	p.Helper()
	class := named(&unstructured.Unstructured{}, name)
	p.must(p.cluster.Get(p.Context(), client.ObjectKeyFromObject(class), class))
	return class
}

// play makes a write, and compares its requests and the class with the golden file of that name.
func (p *player) play(name string, planned binding.Write) {
	p.Helper()
	p.requests.Reset()
	p.act(planned)
	fmt.Fprintf(&p.requests, "# the class then\n%s", p.result(planned.(*write).class.GetName()))
	file := filepath.Join("testdata", name+".yaml")
	if *update {
		p.must(os.MkdirAll("testdata", 0o755))
		p.must(os.WriteFile(file, p.requests.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	p.must(err)
	if diff := cmp.Diff(string(want), p.requests.String()); diff != "" {
		p.Errorf("%s is not what is written; run go test with -update and look at the difference (-want +got):\n%s", file, diff)
	}
}

func (p *player) result(name string) []byte {
	p.Helper()
	class := named(&unstructured.Unstructured{}, name)
	err := p.cluster.Get(p.Context(), client.ObjectKeyFromObject(class), class)
	if apierrors.IsNotFound(err) {
		return []byte("# is gone\n")
	}
	p.must(err)
	text, err := yaml.Marshal(class.Object)
	p.must(err)
	return timeless(text)
}

var writeTime = regexp.MustCompile(`\n +time: "[^"]*"`)

// timeless leaves out when each field manager wrote, which is another time in each run.
func timeless(text []byte) []byte { return writeTime.ReplaceAll(text, nil) }
