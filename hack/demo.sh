#!/usr/bin/env bash
# Runs the demo with a control plane from hack/envtest-assets.sh; KEEP=1 leaves it up until Ctrl-C. -refresh shows the
# snapshot follow a tag, -karpenter a binding on a pool with nodes, -targets bindings to all else.
set -euo pipefail
cd "$(dirname "$0")/.."
KUBEBUILDER_ASSETS=$(hack/envtest-assets.sh)
export KUBEBUILDER_ASSETS
mkdir -p bin
go build -o bin/demo ./test/e2e/demo
exec bin/demo ${KEEP:+-keep} "$@"
