#!/bin/sh
# Installs what a target needs from Debian's packages, where it may, and says
# plainly what is missing where it may not.
#   setup.sh build | test | bpf | windows
set -eu

want=$1
missing=
need() { # need COMMAND PACKAGE...
	command -v "$1" >/dev/null 2>&1 && return
	shift
	missing="$missing $*"
}

need_file() { # need_file FILE PACKAGE
	[ -e "$1" ] || missing="$missing $2"
}

for tool in go node npm; do
	command -v $tool >/dev/null 2>&1 || {
		echo "setup: $tool is not installed; install Go 1.26 and Node 20 or later, then try again" >&2
		exit 1
	}
done
need gcc gcc libc6-dev
need git git
case $want in
test)
	need chromium chromium
	need ip iproute2
	need nft nftables
	need clang clang
	need llvm-strip llvm
	need_file /usr/include/bpf/bpf_helpers.h libbpf-dev
	need curl curl
	need javac default-jdk-headless # the sinks' tests start Kafka and OpenSearch
	need mvn maven
	need x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
	command -v wine64 >/dev/null 2>&1 || need_file /usr/lib/wine/wine64 wine64
	;;
windows)
	need x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
	;;
bpf)
	need clang clang
	need llvm-strip llvm
	need_file /usr/include/bpf/bpf_helpers.h libbpf-dev
	;;
esac
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "setup: installing$missing"
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of packages
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
	exit 0
fi
echo "setup: missing:$missing — as root: apt-get install$missing" >&2
case " $missing " in
*" gcc "*) echo "setup: nothing builds without a C compiler" >&2; exit 1 ;;
esac
echo "setup: going on without them; the tests that need them are skipped and say so" >&2
