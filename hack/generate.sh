#!/usr/bin/env bash
# Writes every generated file into the given checkout (this one or a copy).
set -euo pipefail
hack=$(cd "$(dirname "$0")" && pwd)
cd "$1"
controller_gen() { go tool -modfile="$hack/tools/go.mod" controller-gen "$@"; }
controller_gen object paths=./api/...
controller_gen crd output:crd:artifacts:config=config/crd/bases paths=./api/...
controller_gen rbac:roleName=larder-manager output:rbac:artifacts:config=config/rbac paths=./controllers/...
go run ./hack/verification >docs/verification.md
