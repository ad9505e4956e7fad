#!/usr/bin/env bash
# All tests that this machine can run. EDR_TEST_REQUIRE=all makes a missing
# root, kernel feature or service a failure instead of a skip.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" = 0 ] || echo "test: not root: the tests of kernel events skip, and say so"

(cd web && npm test)

# Two passes, because the kernel's events are one machine's: packages that
# watch or load the whole machine run one after another.
mapfile -t all < <(go list ./...)
alone=()
together=()
for p in "${all[@]}"; do
	case $p in
	*/tables/sensor* | */tables/bpf | */e2e | */agent) alone+=("$p") ;;
	*) together+=("$p") ;;
	esac
done
go test -timeout 10m "${together[@]}"
go test -timeout 10m -p 1 "${alone[@]}"

# What runs on Windows is built by mingw and tested under wine.
if [ "${EDR_TEST_REQUIRE:-}" = all ] || command -v "${MINGW_CC:-x86_64-w64-mingw32-gcc}" >/dev/null; then
	./scripts/windows.sh vet
else
	echo "test: no mingw: nothing is built for Windows; apt-get install gcc-mingw-w64-x86-64"
fi
