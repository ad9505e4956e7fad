#!/usr/bin/env bash
# All tests that this machine can run. EDR_TEST_REQUIRE=all makes a missing
# root, kernel feature or service a failure instead of a skip.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" = 0 ] || echo "test: not root: the tests of kernel events skip, and say so"

EDR_TEST_SKIPPED=$(mktemp)
export EDR_TEST_SKIPPED
trap 'rm -f "$EDR_TEST_SKIPPED"' EXIT

(cd web && npm test)

# The browser's driver for the console's end-to-end test.
if [ ! -e e2e/node_modules/.package-lock.json ] || [ e2e/package-lock.json -nt e2e/node_modules/.package-lock.json ]; then
	(cd e2e && npm ci --no-audit --no-fund) || {
		[ "${EDR_TEST_REQUIRE:-}" != all ] || { echo "test: npm ci in e2e failed, and EDR_TEST_REQUIRE=all is set" >&2; exit 1; }
		echo "test: npm ci in e2e failed: the console's end-to-end test skips" >&2
	}
fi

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
failed=0
go test -timeout 10m "${together[@]}" || failed=1
go test -timeout 10m -p 1 "${alone[@]}" || failed=1
if [ -s "$EDR_TEST_SKIPPED" ]; then
	echo "test: skipped, because this machine or this user cannot run it:"
	sort -u "$EDR_TEST_SKIPPED" | sed 's/^/  /'
fi

# What runs on Windows is built by mingw and tested under wine.
if [ "${EDR_TEST_REQUIRE:-}" = all ] || command -v "${MINGW_CC:-x86_64-w64-mingw32-gcc}" >/dev/null; then
	if ! ./scripts/windows.sh vet; then
		failed=1
	elif [ "${EDR_TEST_REQUIRE:-}" = all ] || command -v wine64 /usr/lib/wine/wine64 >/dev/null; then
		./scripts/test-windows.sh || failed=1
	else
		echo "test: no wine: what is built for Windows is not run; apt-get install wine64"
	fi
else
	echo "test: no mingw: nothing is built for Windows; apt-get install gcc-mingw-w64-x86-64"
fi
exit $failed
