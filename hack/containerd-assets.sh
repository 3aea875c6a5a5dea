#!/usr/bin/env bash
# Prints a directory with containerd, ctr and containerd-shim-runc-v2, building them from the Go module proxy on
# first use: distributions carry older ones, and a test of what a node does should name the version it speaks for.
# CONTAINERD_DIR moves the store.
set -euo pipefail
cd "$(dirname "$0")/containerd"

store=${CONTAINERD_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/larder}
version=$(GOWORK=off go list -m -f '{{.Version}}' github.com/containerd/containerd/v2)
dir=$store/containerd-${version#v}

mkdir -p "$store"
exec 9>"$store/.containerd.lock"
flock 9 # two test runs at once build only one containerd

if [ -d "$dir" ]; then
  echo "$dir"
  exit 0
fi

cat >&2 <<MSG
Building containerd $version from source, once: it is not in $store.
This takes about 2 CPU minutes and 1 GB of memory; the result is kept there.
MSG

build=$(mktemp -d "$store/.build.XXXXXX")
trap 'rm -rf "$build"' EXIT
# The two snapshotters left out need libraries or daemons that no test uses.
for command in containerd ctr containerd-shim-runc-v2; do
  echo "building $command" >&2
  GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags no_devmapper,no_zfs \
    -ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$version" \
    -o "$build/$command" "github.com/containerd/containerd/v2/cmd/$command" >&2
done

chmod 755 "$build"
mv "$build" "$dir" # atomic: another run sees all of it or nothing
trap - EXIT
echo "$dir"
