#!/usr/bin/env bash
# The tests of what runs on Windows, under wine, in a prefix of their own that
# is gone afterwards; then the programs of `make windows` as a user starts them.
#   test-windows.sh [PACKAGE…]
set -euo pipefail
cd "$(dirname "$0")/.."
export GOOS=windows GOARCH=amd64 CGO_ENABLED=1 CC=${MINGW_CC:-x86_64-w64-mingw32-gcc}

# Debian's wine64 is found by its own name only in its own folder.
wine=$(command -v wine64 || command -v /usr/lib/wine/wine64) || {
	echo "test-windows: wine is not installed; as root: apt-get install wine64" >&2
	exit 1
}
server=$(command -v wineserver64 || command -v /usr/lib/wine/wineserver64 || command -v wineserver)

# In memory where there is room: what is written under wine is written to the
# disk at once, a hundred times over.
work=$(mktemp -d)
if [ "$(df -Pk /dev/shm 2>/dev/null | awk 'END { print $4 }')" -gt 2000000 ] 2>/dev/null; then
	rmdir "$work"
	work=$(mktemp -d -p /dev/shm edr-wine.XXXXXX)
fi
export WINEPREFIX=$work/prefix WINEDEBUG=${WINEDEBUG:--all} WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe="
finish() {
	"$server" -k >/dev/null 2>&1 || true # ends what runs in this prefix, and nothing else
	rm -rf "$work"
}
trap finish EXIT

# The server and wine's own services are started here, with nothing of ours
# open: a test that started them would not end before they do.
quiet() { # quiet COMMAND…
	"$@" </dev/null >"$work/log" 2>&1 || {
		echo "test-windows: $* failed:" >&2
		cat "$work/log" >&2
		exit 1
	}
}
mkdir "$WINEPREFIX"
quiet "$server" -p
quiet "$wine" wineboot -i
quiet "$wine" winecfg /v win10
"$CC" -O2 -shared -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" scripts/wine/bcryptprimitives.c -ladvapi32

# Go deletes files by a call that this wine does not know, and goes another way
# where Windows says so by one of three codes; wine's code is a fourth. Without
# it every t.TempDir fails at its end. Tests alone are built with this.
at=$(go env GOROOT)/src/internal/syscall/windows/at_windows.go
sed 's/case STATUS_INVALID_INFO_CLASS,/case NTStatus(0xC0000002), STATUS_INVALID_INFO_CLASS,/' "$at" >"$work/at_windows.go"
printf '{"Replace":{"%s":"%s"}}' "$at" "$work/at_windows.go" >"$work/overlay.json"

# TestRealClock measures the processor time of a minute: here it would be
# wine's. TestWindowsEventsFolder and TestWalkFiles make links, which wine does
# not. The last cut one file at each of its bytes: the same everywhere, and minutes here.
run() {
	EDR_TEST_REQUIRE='' EDR_TEST_SKIPPED='' go test -overlay "$work/overlay.json" -vet=off -timeout 5m -exec "$wine" \
		-skip '^(TestRealClock|TestWindowsEventsFolder|TestWalkFiles|TestTornAnywhere|TestKilledAtAnyChange|TestDamagedAnywhere)$' "$@"
}
if [ $# -gt 0 ]; then
	run "$@"
	exit
fi
run ./wire/... ./queries/... ./scheduler/... ./response ./agent ./internal/... ./cmd/agent \
	./tables ./tables/engine ./tables/event ./tables/evidence ./tables/winreg ./tables/process ./tables/all \
	./tables/sensor ./tables/sensor/eventlog ./tables/sensor/regsensor
# The other tests of these read what Linux has.
run -run 'ThisWindows|TaskEvidence|TaskXML|RealTask|Zone' ./tables/system ./tables/account

agent() { "$wine" ./edr-agent.exe "$@" 2>"$work/stderr"; }
want() { # want WHAT PATTERN, of standard input
	tr -d '\r' >"$work/out"
	grep -qE "$2" "$work/out" || {
		echo "test-windows: $1: no line matches $2:" >&2
		head -n 20 "$work/out" "$work/stderr" >&2
		exit 1
	}
	echo "ok  	edr-agent.exe $1"
}
[ -e edr-agent.exe ] || ./scripts/windows.sh
agent query -csv "SELECT 1 AS one" | want "query" '^1$'
agent tables | want "tables" '^registry .*windows'
agent query -csv "SELECT name, path, parent, cmdline FROM processes WHERE pid = (SELECT pid FROM osquery_info)" |
	want "processes" '^edr-agent.exe,.*edr-agent.exe,[0-9]+,.*query'
agent query -csv 'SELECT type, data FROM registry WHERE path = '"'"'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\CurrentBuildNumber'"'" |
	want "registry" '^REG_SZ,[0-9]+$'
agent query -csv "SELECT platform, major, build FROM os_version" | want "os_version" '^windows,10,[0-9]+$'
agent query -csv "SELECT count(*) > 0 FROM users WHERE uuid LIKE 'S-1-5-%'" | want "users" '^1$'
agent query -csv "SELECT total_seconds > 0 FROM uptime" | want "uptime" '^1$'
agent query "SELECT * FROM connections" >/dev/null || true
grep -q "not supported here" "$work/stderr" || {
	echo "test-windows: connections: want 'not supported here', got:" >&2
	cat "$work/stderr" >&2
	exit 1
}
echo "ok  	edr-agent.exe connections: not supported here"

# A running agent: what another process writes to an autostart key hits a rule.
mkdir "$work/rules"
cat >"$work/rules/run.json" <<'RULE'
{"id": "run-key", "name": "run key", "type": "registry", "severity": "high", "enabled": true, "match": "all",
 "conditions": ["key endswith '\\CurrentVersion\\Run'", "value = 'edr test'", "action = 'created'"], "actions": ["alert"]}
RULE
: >"$work/hits" >"$work/agent.log"
"$wine" ./edr-agent.exe -data "$work/agent" -content "$work/rules" >"$work/hits" 2>"$work/agent.log" &
agent_pid=$!
until_line() { # until_line PATTERN FILE WHAT
	for _ in $(seq 300); do
		grep -qE "$1" "$2" && return
		kill -0 "$agent_pid" 2>/dev/null || break
		sleep 0.2
	done
	echo "test-windows: $3: no line matches $1:" >&2
	tail -n 20 "$2" "$work/agent.log" >&2
	exit 1
}
until_line 'name=registry state=running mechanism=regnotify' "$work/agent.log" "the registry's sensor"
quiet "$wine" reg add 'HKCU\Software\Microsoft\Windows\CurrentVersion\Run' /v 'edr test' /d 'C:\Temp\x.exe' /f
until_line '"run-key".*registry_events' "$work/hits" "a hit of a registry rule"
echo "ok  	edr-agent.exe: a change by another process hits a registry rule"
kill "$agent_pid" 2>/dev/null || true
wait "$agent_pid" 2>/dev/null || true
