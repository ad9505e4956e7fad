#!/usr/bin/env bash
# Starts a server on ADDR and an enrolled agent, with state in DATA, and stops
# both on Ctrl-C. State is kept: the next run goes on with the same host.
set -euo pipefail
cd "$(dirname "$0")/.."

addr=${ADDR:-127.0.0.1:8443}
data=${DATA:-./data}
url=https://$addr
mkdir -p "$data"
chmod 700 "$data"
data=$(cd "$data" && pwd)

if (exec 3<>"/dev/tcp/${addr%:*}/${addr##*:}") 2>/dev/null; then
	echo "run: something already listens on $addr: stop it, or take another address: make run ADDR=127.0.0.1:9443" >&2
	exit 1
fi

pids=()
stop() {
	trap - INT TERM EXIT
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	wait 2>/dev/null || true
}
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM
trap stop EXIT

server() { ./edr-server "$@" -data "$data/server" -addr "$addr" -url "$url"; }

if [ ! -e "$data/first-login" ]; then
	(umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$data/password")
	server user add admin -role admin -password-file "$data/password"
	(umask 077 && printf 'admin %s\n' "$(cat "$data/password")" >"$data/first-login")
	rm "$data/password"
fi
# The token is kept; the address may be another this time.
token=
[ ! -e "$data/edrctl.env" ] || token=$(. "$data/edrctl.env" && printf %s "$EDR_TOKEN")
if [ -z "$token" ]; then
	server keys init >/dev/null 2>&1
	token=$(server user token admin -note "make run")
	server keys ca >"$data/ca.pem"
fi
(umask 077 && printf 'export EDR_SERVER=%q\nexport EDR_TOKEN=%q\nexport EDR_CA=%q\n' "$url" "$token" "$data/ca.pem" >"$data/edrctl.env")
if [ ! -e "$data/agent/identity/host.cert" ]; then
	rm -f "$data/enrol.token"
	server enrol -out "$data/enrol.token" -note "make run" 2>/dev/null
fi

./edr-server -data "$data/server" -addr "$addr" -url "$url" 2>"$data/server.log" &
server_pid=$!
pids+=("$server_pid")
for _ in $(seq 100); do
	kill -0 "$server_pid" 2>/dev/null || { echo "run: the server ended:" >&2; tail -n 5 "$data/server.log" >&2; exit 1; }
	(exec 3<>"/dev/tcp/${addr%:*}/${addr##*:}") 2>/dev/null && break
	sleep 0.1
done

enroll=()
[ ! -e "$data/enrol.token" ] || enroll=(-enroll-file "$data/enrol.token")
./edr-agent -server "$url" -data "$data/agent" "${enroll[@]}" 2>"$data/agent.log" &
agent_pid=$!
pids+=("$agent_pid")

read -r user password <"$data/first-login"
cat <<TXT

console   $url
login     $user, password $password
edrctl    . ${data#"$PWD"/}/edrctl.env; ./edrctl get hosts
logs      ${data#"$PWD"/}/server.log, ${data#"$PWD"/}/agent.log
TXT
[ "$(id -u)" = 0 ] || echo "note      not root: the agent sees less of the machine; edr_sensors says what and why"
echo "Ctrl-C stops both."

wait -n "${pids[@]}" || true
for pid in "${pids[@]}"; do
	kill -0 "$pid" 2>/dev/null && continue
	[ "$pid" = "$server_pid" ] && name=server || name=agent
	echo "run: the $name ended:" >&2
	tail -n 5 "$data/$name.log" >&2
done
exit 1
