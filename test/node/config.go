//go:build linux

package node

import (
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// The templates differ from containerd's defaults only where the test's isolation or a machine's limits ask for it.
var (
	commonTemplate = `imports = []
root = "{{.Root}}"
state = "{{.Run}}/state"
# Both reach for the machine outside of the test: the resource interface's socket, and a collector of traces.
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "{{.Socket}}"
[ttrpc]
  address = "{{.Socket}}.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
  path = "{{.Run}}/opt"
`
	version1Template = template.Must(template.New("containerd 1").Parse("version = 2\n" + commonTemplate + `
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.SandboxImage}}"
  # Without CAP_SYS_RESOURCE, as in many build machines, a lower score than the own one is refused.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{{.Run}}/cni/bin"
    conf_dir = "{{.Run}}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`))
	version2Template = template.Must(template.New("containerd 2").Parse("version = 3\n" + commonTemplate + `
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{{.SandboxImage}}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE, as in many build machines, a lower score than the own one is refused.
  restrict_oom_score_adj = true
  disable_apparmor = true
  cdi_spec_dirs = []
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{{.Run}}/cni/bin"]
    conf_dir = "{{.Run}}/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`))
)

func writeConfig(run string, n *Node, options Options) (string, error) {
	path := filepath.Join(run, "containerd.toml")
	file, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("writing containerd's configuration: %w", err)
	}
	defer file.Close()
	configuration := version2Template
	if n.containerd.isVersion1() {
		configuration = version1Template
	}
	err = configuration.Execute(file, map[string]string{
		"Root":         options.Root,
		"SandboxImage": options.SandboxImage,
		"Run":          run,
		"Socket":       n.socket,
	})
	if err != nil {
		return "", fmt.Errorf("writing containerd's configuration: %w", err)
	}
	return path, file.Close()
}
