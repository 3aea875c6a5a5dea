#!/usr/bin/env bash
# Prints a directory with the kubelet that hack/controlplane pins, building it from the Go module proxy on first use:
# nothing but a kubelet can tell whether a kubelet takes a volume's images for present.
# KUBELET_DIR moves the store.
set -euo pipefail
cd "$(dirname "$0")/controlplane"

store=${KUBELET_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/larder}
version=$(GOWORK=off go list -m -f '{{.Version}}' k8s.io/kubernetes)
dir=$store/kubelet-${version#v}

mkdir -p "$store"
exec 9>"$store/.kubelet.lock"
flock 9 # two test runs at once build only one kubelet

if [ -d "$dir" ]; then
  echo "$dir"
  exit 0
fi

cat >&2 <<MSG
Building kubelet $version from source, once: it is not in $store.
This takes about 8 CPU minutes and 2 GB of memory; the result is kept there.
MSG

build=$(mktemp -d "$store/.build.XXXXXX")
trap 'rm -rf "$build"' EXIT
minor=${version#v1.}
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=archive"
done
GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$build/kubelet" k8s.io/kubernetes/cmd/kubelet >&2

chmod 755 "$build"
mv "$build" "$dir" # atomic: another run sees all of it or nothing
trap - EXIT
echo "$dir"
