//go:build node

package node_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// Names that the user data of an AL2023 node goes by.
const (
	dataDevice     = "/dev/xvdb"
	dataDisk       = "/dev/nvme1n1"
	containerdRoot = "/var/lib/containerd"
	dropIn         = "/etc/systemd/system/containerd.service.d/larder.conf"
	pauseFile      = "/etc/eks/pause.tar"
	pauseImage     = "localhost/kubernetes/pause:latest"
)

// documented returns the fenced blocks of a kind in docs/node-user-data.md; those of no kind for "".
func documented(t *testing.T, kind string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/node-user-data.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(page), "\n```") {
		first, block, _ := strings.Cut(part, "\n")
		if i%2 == 1 && first == kind {
			blocks = append(blocks, block+"\n")
		}
	}
	return blocks
}

// al2023Script returns the shell part of the documented user data, as cloud-init would find it.
func al2023Script(t *testing.T) string {
	t.Helper()
	blocks := documented(t, "")
	if len(blocks) != 1 {
		t.Fatalf("docs/node-user-data.md has %d blocks of no kind, want the user data alone", len(blocks))
	}
	message, err := mail.ReadMessage(strings.NewReader(blocks[0]))
	if err != nil {
		t.Fatal(err)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		t.Fatalf("the user data is %s (%v), want multipart/mixed", kind, err)
	}
	part, err := multipart.NewReader(message.Body, parameters["boundary"]).NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if kind := part.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/x-shellscript") {
		t.Fatalf("the first part is %s, want a shell script", kind)
	}
	script, err := io.ReadAll(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// newAL2023 makes a host as EKS's AMI is where the user data looks, with a systemd that says whether containerd runs.
func newAL2023(t *testing.T, containerdRuns bool) *node.Host {
	t.Helper()
	host := node.NewHost(t)
	host.WriteFile(t, containerdRoot+"/ami", []byte("the AMI's own\n"), 0o600)
	host.WriteFile(t, "/etc/fstab", []byte("LABEL=/ / xfs defaults 0 0\n"), 0o644)
	status := "3" // of a unit that is not active
	if containerdRuns {
		status = "0"
	}
	systemctl := "#!/bin/bash\necho \"$*\" >>/systemctl.log\n[ \"$1\" != is-active ] || exit " + status + "\n"
	host.WriteFile(t, "/usr/bin/systemctl", []byte(systemctl), 0o755)
	// Without a volume that it knows, as on an instance that has none.
	host.WriteFile(t, "/usr/local/sbin/ebsnvme-id", []byte("#!/bin/bash\nexit 1\n"), 0o755)
	return host
}

// link makes the link that the AMI's udev rule makes.
func link(t *testing.T, host *node.Host) {
	t.Helper()
	if err := os.Symlink(filepath.Base(dataDisk), host.Path(dataDevice)); err != nil {
		t.Fatal(err)
	}
}

// savePause writes an image's tar as the AMI has it, under the AMI's name.
func savePause(t *testing.T, host *node.Host, reference string) {
	t.Helper()
	from, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(from, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	to, err := name.NewTag(pauseImage)
	if err != nil {
		t.Fatal(err)
	}
	var tar bytes.Buffer
	if err := tarball.Write(to, image, &tar); err != nil {
		t.Fatal(err)
	}
	host.WriteFile(t, pauseFile, tar.Bytes(), 0o644)
}

// buildFormat writes a volume of a format and of 2 GiB, and returns its file.
func (u *user) buildFormat(t *testing.T, format string, references ...string) string {
	t.Helper()
	file := filepath.Join(u.home, format+".img")
	arguments := []string{"build", "--format", format, "--platform", platform, "--volume-size", "2Gi", "--output", file}
	for _, reference := range references {
		arguments = append(arguments, "--image", reference)
	}
	u.run(t, nil, arguments...)
	return file
}

// TestNodeUserDataOfAL2023 runs the documented user data, and a node on what it mounted, with the registry stopped.
func TestNodeUserDataOfAL2023(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	ofAMI := push(t, server, "ami/pause:v9", registry.Image{
		Platform: platform, Entrypoint: []string{"/probe", "pause"}, Layers: []registry.Layer{{Entries: []registry.Entry{
			{Name: "probe", Mode: 0o755, Content: compileProbe(t)}, {Name: "of-the-ami"},
		}}},
	})
	host := newAL2023(t, false)
	savePause(t, host, ofAMI)
	file := newUser(t).buildFormat(t, "Containerd", pushed.all()...)
	stopForGood(t, server)
	asked := len(server.Requests())
	const diskSize = 3 << 30 // a node's volume is larger than its snapshot
	if err := os.Truncate(file, diskSize); err != nil {
		t.Fatal(err)
	}
	host.AttachDisk(t, file, dataDisk)
	link(t, host)

	said := host.Run(t, al2023Script(t))
	checkMounted(t, host, said)
	checkGrown(t, host, said, diskSize)
	// With another sandbox image, since containerd pins that by itself.
	started := node.Start(t, node.Options{Containerd: node.NewestContainerd(t), Root: host.Path(containerdRoot), SandboxImage: pushed.pause})
	checkUnpacked(t, started, pushed)
	checkPinned(t, started, pushed)
	host.RunStartPost(t, dropIn, started)
	if err := started.CRI.WaitUntilPinned(t.Context(), pauseImage); err != nil { // else kubelet would collect it
		t.Fatal(err)
	}
	started.CollectGarbage(t)
	started.Stop(t)

	again := node.Start(t, node.Options{Containerd: node.NewestContainerd(t), Root: host.Path(containerdRoot), SandboxImage: pauseImage})
	host.RunStartPost(t, dropIn, again)
	if err := again.CRI.WaitUntilPinned(t.Context(), pauseImage); err != nil {
		t.Fatal(err)
	}
	checkContainers(t, again, pushed)
	again.Stop(t)
	if requests := server.Requests(); len(requests) != asked {
		t.Errorf("the registry was asked after it had been stopped: %v", requests[asked:])
	}
	if err := unix.Unmount(host.Path(containerdRoot), 0); err != nil {
		t.Fatal(err)
	}
	node.CheckDisk(t, file)
}

func checkMounted(t *testing.T, host *node.Host, said string) {
	t.Helper()
	kind, options := host.MountOf(t, containerdRoot)
	if kind != "ext4" || !strings.Contains(options, "noatime") {
		t.Fatalf("at %s is mounted %q with %q, want ext4 with noatime:\n%s", containerdRoot, kind, options, said)
	}
	uuid := strings.TrimSpace(host.Run(t, "blkid -p -s UUID -o value "+dataDisk))
	table, err := os.ReadFile(host.Path("/etc/fstab"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(table), "UUID="+uuid+" "+containerdRoot+" ext4 ") || !strings.HasPrefix(string(table), "LABEL=/ /") {
		t.Errorf("after a reboot the volume %s would not be mounted:\n%s", uuid, table)
	}
	log, err := os.ReadFile(host.Path("/systemctl.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "daemon-reload") {
		t.Errorf("systemd was not told of the new file: it was asked\n%s", log)
	}
}

// checkGrown allows for a machine whose kernel lets nobody grow a filesystem: there the script has to say so.
func checkGrown(t *testing.T, host *node.Host, said string, size uint64) {
	t.Helper()
	var status unix.Statfs_t
	if err := unix.Statfs(host.Path(containerdRoot), &status); err != nil {
		t.Fatal(err)
	}
	const overhead = 512 << 20                                  // the journal, the inodes and the reserved descriptors
	grown := status.Blocks*uint64(status.Bsize) > size-overhead //nolint:gosec // a block size is positive
	if hasCapability(t, unix.CAP_SYS_RESOURCE) != grown {
		t.Errorf("the filesystem has %d blocks of %d bytes on a disk of %d bytes:\n%s", status.Blocks, status.Bsize, size, said)
	}
	if grown == strings.Contains(said, "the filesystem keeps its size") {
		t.Errorf("the filesystem has grown: %t, and the script says\n%s", grown, said)
	}
}

func hasCapability(t *testing.T, capability uint) bool {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}

// TestNodeUserDataFindsTheVolumeByItself is about an instance whose udev made no link.
func TestNodeUserDataFindsTheVolumeByItself(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	host := newAL2023(t, false)
	host.AttachDisk(t, newUser(t).buildFormat(t, "Containerd", fill(t, server).docker), dataDisk)
	host.WriteFile(t, "/dev/nvme0n1", nil, 0o600) // the root disk, of which the stand-in knows another name
	host.WriteFile(t, "/usr/local/sbin/ebsnvme-id", []byte(`#!/bin/bash
[ "$1" = --block-dev ] || exit 2
case $2 in /dev/nvme0n1) echo /dev/xvda ;; /dev/nvme1n1) echo xvdb ;; *) exit 1 ;; esac
`), 0o755)
	checkMounted(t, host, host.Run(t, al2023Script(t)))
	unit, err := os.ReadFile(host.Path(dropIn))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(unit), "ExecStartPost") {
		t.Errorf("this AMI has no file with a pause image, and containerd would fail for it:\n%s", unit)
	}
}

// TestNodeUserDataLeavesTheNodeAsItWas is about whatever can be wrong with a volume.
func TestNodeUserDataLeavesTheNodeAsItWas(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	reference := fill(t, server).docker
	u := newUser(t)
	empty := func(*testing.T) string {
		file := filepath.Join(u.home, "empty.img")
		if err := os.WriteFile(file, make([]byte, 64<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cases := map[string]struct {
		reason string
		disk   func(t *testing.T) string
		runs   bool
		says   string
	}{
		"no volume": {reason: "a node of a pool without one boots too", says: "there is no volume /dev/xvdb"},
		"empty":     {reason: "a volume that was made from no snapshot", disk: empty, says: "cannot be mounted"},
		"other filesystem": {reason: "somebody else's data is not containerd's", disk: func(t *testing.T) string {
			file := empty(t)
			if output, err := exec.CommandContext(t.Context(), "mke2fs", "-q", "-t", "ext4", file).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			return file
		}, says: "is not a volume of the format Containerd"},
		"Files": {reason: "a layout record alone is not containerd's root", disk: func(t *testing.T) string {
			return u.buildFormat(t, "Files", reference)
		}, says: "is not a volume of the format Containerd"},
		"Bottlerocket": {reason: "a partition table is no filesystem", disk: func(t *testing.T) string {
			return u.buildFormat(t, "Bottlerocket", reference)
		}, says: "cannot be mounted"},
		"too late": {reason: "containerd's files must not be hidden while it runs", disk: func(t *testing.T) string {
			return u.buildFormat(t, "Containerd", reference)
		}, runs: true, says: "containerd is running already"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			host := newAL2023(t, c.runs)
			if c.disk != nil {
				host.AttachDisk(t, c.disk(t), dataDisk)
				link(t, host)
			}
			said := host.Run(t, al2023Script(t))
			if !strings.Contains(said, c.says) || !strings.Contains(said, "containerd uses the disk of the AMI") {
				t.Errorf("%s: the script says\n%s, want %q", c.reason, said, c.says)
			}
			if _, err := os.Stat(host.Path(containerdRoot + "/ami")); err != nil {
				t.Errorf("%s: what the AMI has in %s is hidden: %v", c.reason, containerdRoot, err)
			}
			for _, file := range []string{dropIn, "/etc/fstab"} {
				if content, _ := os.ReadFile(host.Path(file)); bytes.Contains(content, []byte(containerdRoot)) || bytes.Contains(content, []byte("var-lib-containerd")) {
					t.Errorf("%s: %s speaks of a mount:\n%s", c.reason, file, content)
				}
			}
		})
	}
}
