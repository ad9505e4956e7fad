#!/usr/bin/env bash
# What takes longer than a test should: every fuzz target for a while, and the
# tests of concurrent code under the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."
each=${FUZZTIME:-30s}

grep -rlE '^func Fuzz' --include='*_test.go' . | grep -v node_modules | sort | while read -r file; do
	grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | cut -d' ' -f2 | while read -r target; do
		echo "soak: $target in $(dirname "$file")"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" "$(dirname "$file")"
	done
done
go test -race -timeout 30m ./...
