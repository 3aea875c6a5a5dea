#!/usr/bin/env bash
# Prints one directory a line, from the oldest containerd to the newest: each has the containerd, ctr and
# containerd-shim-runc-v2 that a module in hack/containerd pins, built from the Go module proxy on first use.
# Distributions carry others, and a test of what nodes do should name the versions it speaks for.
# CONTAINERD_DIR moves the store.
set -euo pipefail
cd "$(dirname "$0")/containerd"

store=${CONTAINERD_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/larder}
mkdir -p "$store"
exec 9>"$store/.containerd.lock"
flock 9 # two test runs at once build only one of each
build=
trap 'rm -rf "$build"' EXIT

# build_line builds what the module in the directory $1 pins, if the store does not have it, and prints where it is.
build_line() {
  local module=github.com/containerd/containerd version dir
  case $1 in v2.*) module+=/v2 ;; esac
  version=$(cd "$1" && GOWORK=off go list -m -f '{{.Version}}' "$module")
  dir=$store/containerd-${version#v}
  if [ -d "$dir" ]; then
    echo "$dir"
    return
  fi

  cat >&2 <<MSG
Building containerd $version from source, once: it is not in $store.
This takes about 2 CPU minutes and 1 GB of memory; the result is kept there.
MSG
  build=$(mktemp -d "$store/.build.XXXXXX")
  # The snapshotters left out need libraries or daemons that no test uses.
  for command in containerd ctr containerd-shim-runc-v2; do
    echo "building $command" >&2
    (cd "$1" && GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags no_aufs,no_btrfs,no_devmapper,no_zfs \
      -ldflags "-s -w -X $module/version.Version=$version" \
      -o "$build/$command" "$module/cmd/$command") >&2
  done
  chmod 755 "$build"
  mv "$build" "$dir" # atomic: another run sees all of it or nothing
  build=
  echo "$dir"
}

for line in v1.7 v2.1 v2.2 v2.3 v2.4; do
  build_line "$line"
done
