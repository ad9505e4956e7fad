#!/usr/bin/env bash
# Cross-builds the agent and the command line client for Windows:
# edr-agent.exe and edrctl.exe. The agent holds SQLite, so its build needs
# mingw's C compiler; the first build takes minutes, the cache the rest.
#   windows.sh [vet]
set -euo pipefail
cd "$(dirname "$0")/.."
export GOOS=windows GOARCH=amd64 CGO_ENABLED=1 CC=${MINGW_CC:-x86_64-w64-mingw32-gcc}

command -v "$CC" >/dev/null || {
	echo "windows: $CC is not installed; as root: apt-get install gcc-mingw-w64-x86-64" >&2
	exit 1
}
if [ "${1:-}" = vet ]; then
	go vet ./agent/... ./tables/... ./wire/... ./queries/... ./scheduler/... ./response/... ./internal/... ./cmd/agent ./cmd/edrctl
fi
go build -o edr-agent.exe ./cmd/agent
go build -o edrctl.exe ./cmd/edrctl
