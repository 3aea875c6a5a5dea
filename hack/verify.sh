#!/usr/bin/env bash
# Fails when a generated file, a format or a go.mod of the given modules is not what its source makes it, or a planted
# defect no longer fits the source.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy" 2>/dev/null || true
"$copy/hack/generate.sh" "$copy"

stale=0
for path in api config docs; do
  if ! diff -ru "$path" "$copy/$path"; then
    stale=1
  fi
done
for module in "$@"; do
  if ! (cd "$module" && go mod tidy -diff); then
    echo "go.mod of $module is stale: run 'go mod tidy' there" >&2
    stale=1
  fi
done
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
  echo "not formatted, run 'make fmt': $unformatted" >&2
  stale=1
fi
for patch in hack/defects/*.patch; do
  if ! git apply --check "$patch"; then
    echo "$patch does not apply: make it anew, and run 'make test-defects'" >&2
    stale=1
  fi
done
if [ "$stale" = 1 ]; then
  echo "stale files, see above: run 'make generate' and commit what it writes" >&2
  exit 1
fi
echo "generated files, formats, modules and planted defects are current"
