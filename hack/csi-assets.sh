#!/usr/bin/env bash
# Prints a directory with the snapshot-controller that hack/csi pins, building it from the Go module proxy on first use:
# only the real one tells how VolumeSnapshots are bound to their contents, and which finalizers keep them.
# CSI_DIR moves the store.
set -euo pipefail
cd "$(dirname "$0")/csi"

store=${CSI_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/larder}
module=github.com/kubernetes-csi/external-snapshotter/v8
version=$(GOWORK=off go list -m -f '{{.Version}}' "$module")
dir=$store/snapshot-controller-${version#v}

mkdir -p "$store"
exec 9>"$store/.csi.lock"
flock 9 # two test runs at once build only one

if [ -d "$dir" ]; then
  echo "$dir"
  exit 0
fi

cat >&2 <<MSG
Building snapshot-controller $version from source, once: it is not in $store.
This takes about 3 CPU minutes and 2 GB of memory; the result is kept there.
MSG

build=$(mktemp -d "$store/.build.XXXXXX")
trap 'rm -rf "$build"' EXIT
GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version" \
  -o "$build/snapshot-controller" "$module/cmd/snapshot-controller" >&2

chmod 755 "$build"
mv "$build" "$dir" # atomic: another run sees all of it or nothing
trap - EXIT
echo "$dir"
