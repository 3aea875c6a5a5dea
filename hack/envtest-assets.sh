#!/usr/bin/env bash
# Prints a KUBEBUILDER_ASSETS directory (etcd, kube-apiserver, kubectl), obtaining it on first use:
#   1. from the local store, without any network;
#   2. else by setup-envtest's download, the way of a laptop or of hosted CI;
#   3. else built from the Go module proxy into the same store, in the layout setup-envtest uses.
# ENVTEST_BUILD=always skips 2. ENVTEST_DIR moves the store.
set -euo pipefail
cd "$(dirname "$0")"

series=${ENVTEST_K8S_VERSION:-1.37.x}
store=${ENVTEST_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/kubebuilder-envtest}
platform=$(go env GOOS)-$(go env GOARCH)
module=$PWD/controlplane

mkdir -p "$store"
exec 9>"$store/.larder.lock"
flock 9 # two test runs at once build only one control plane

setup_envtest() { (cd tools && go tool setup-envtest use -p path --bin-dir "$store" "$@"); }

if dir=$(setup_envtest -i "$series" 2>/dev/null); then
  echo "$dir"
  exit 0
fi

reason="ENVTEST_BUILD=always was set"
if [ "${ENVTEST_BUILD:-auto}" != always ]; then
  if dir=$(setup_envtest "$series" 2>"$store/.download.log"); then
    echo "$dir"
    exit 0
  fi
  reason="the prebuilt $series is not in $store and could not be downloaded ($(tail -n 1 "$store/.download.log"))"
fi

version=$(cd "$module" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
cat >&2 <<MSG
Building the control plane $version from source, once: $reason.
This takes about 10 CPU minutes and 2 GB of memory; the result is kept in $store.
MSG

build=$(mktemp -d "$store/.build.XXXXXX")
trap 'rm -rf "$build"' EXIT
minor=${version#v1.}
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=archive"
done
build_binary() {
  echo "building $1" >&2
  (cd "$module" && GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$flags" -o "$build/$1" "$2")
}
build_binary etcd go.etcd.io/etcd/server/v3
build_binary kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build_binary kubectl k8s.io/kubernetes/cmd/kubectl

mkdir -p "$store/k8s"
chmod 755 "$build"
mv "$build" "$store/k8s/${version#v}-$platform" # atomic: another run sees all of it or nothing
trap - EXIT
setup_envtest -i "$series"
