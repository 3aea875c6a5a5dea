#!/usr/bin/env bash
# Runs every fuzz target of the module for a time, which is the argument, and fails with the first that finds something.
set -euo pipefail
cd "$(dirname "$0")/.."
duration=${1:?usage: hack/fuzz.sh DURATION, such as 60s}

while IFS=: read -r file _ target; do
  package=./$(dirname "$file")
  echo "== $package $target for $duration"
  # By default Go spends up to a minute on making each new input smaller, and finds no others in that time.
  if output=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" -fuzzminimizetime 5x "$package" 2>&1); then
    tail -n 2 <<<"$output"
  elif grep -q 'context deadline exceeded' <<<"$output" && ! grep -q 'Failing input written' <<<"$output"; then
    # The go command takes an input that was under way when the time was over for a failure
    # (https://github.com/golang/go/issues/75804).
    tail -n 6 <<<"$output" | head -n 2
  else
    echo "$output" >&2
    exit 1
  fi
done < <(grep -rno --include='*_test.go' '^func Fuzz[A-Za-z]*' internal controllers | sed 's/func //')
