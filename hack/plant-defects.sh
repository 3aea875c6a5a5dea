#!/usr/bin/env bash
# Plants each defect of hack/defects in a copy of the source, and fails unless the test that its patch names
# catches it. KUBEBUILDER_ASSETS must be set.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
missed=0
for patch in hack/defects/*.patch; do
  rm -rf "${copy:?}"/*
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
  (cd "$copy" && git apply "$patch")
  folder=$(sed -n 's/^in: *//p' "$patch")
  test=$(sed -n 's/^caught by: *//p' "$patch")
  if output=$(cd "$copy" && go test -count 1 -run "^$test\$" "./$folder" 2>&1); then
    echo "MISSED  $patch: $test passes" >&2
    missed=1
  elif grep -q -- "--- FAIL: $test" <<<"$output"; then
    echo "caught  $(sed -n 's/^what: *//p' "$patch"): $folder $test"
  else
    echo "BROKEN  $patch: the test did not run" >&2
    tail -n 20 <<<"$output" >&2
    missed=1
  fi
done
exit "$missed"
