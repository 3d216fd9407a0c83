#!/bin/sh
# install-deps.sh [build] [demo] [test] [bench] - install what is missing (Debian 12 or
# newer). Asks for nothing, says what it installs, does nothing when all is
# there. Without root it names the packages and fails.
set -eu

build="gcc make pkg-config clang liburing-dev libdnnl-dev libprotobuf-c-dev protobuf-c-compiler
	libonnx-dev libsystemd-dev libxxhash-dev libjansson-dev libinih-dev libzip-dev
	libbpf-dev bpftool systemtap-sdt-dev libmicrohttpd-dev"
demo="fio python3"
test="check libonnx-testdata fio util-linux python3 curl bpftrace"
bench="gnuplot-nox fio python3"

wanted=""
for group in "${@:-build}"; do
	case "$group" in
	build) wanted="$wanted $build" ;;
	demo) wanted="$wanted $demo" ;;
	test) wanted="$wanted $test" ;;
	bench) wanted="$wanted $bench" ;;
	*) echo "usage: install-deps.sh [build] [demo] [test] [bench]" >&2; exit 2 ;;
	esac
done

missing=""
for package in $wanted; do
	dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
		missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "missing packages, and this is not root. Please run:" >&2
	echo "    apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
	cat "$log" >&2
	echo "could not install:$missing" >&2
	exit 1
fi
