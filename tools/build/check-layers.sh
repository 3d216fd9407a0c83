#!/bin/sh
# check-layers.sh - who may include whom (Documentation/architecture.md). A
# room may include its own headers and those of the rooms that its build.mk
# names in X_DEPS, transitively; public headers include only public headers;
# nothing in libfi includes the daemon or the tools.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0

complain() {
	echo "check-layers: $*" >&2
	bad=1
}

deps_of() { sed -n "s/^$1_DEPS := *//p" "libfi/$1/build.mk" | head -n 1; }

closure() {
	seen=" $1 "
	todo="$1"
	while [ -n "$todo" ]; do
		next=""
		for room in $todo; do
			for dep in $(deps_of "$room"); do
				case "$seen" in *" $dep "*) ;; *) seen="$seen$dep "; next="$next $dep" ;; esac
			done
		done
		todo="$next"
	done
	echo "$seen"
}

rooms=$(for f in libfi/*/build.mk; do basename "$(dirname "$f")"; done)
for room in $rooms; do
	allowed=$(closure "$room")
	# Designed exception: a device describes its forms in plan's plain-data header.
	# shellcheck disable=SC2044,SC2013 # no name of ours holds a blank
	for file in $(find "libfi/$room" -name '*.[ch]'); do
		for inc in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
			case "$inc" in
			plan/form.h) [ "$room" = device ] && continue ;;
			ipc/wire.h) [ "$room" = preload ] && continue ;;
			daemon/* | tools/* | tests/* | bpf/*) complain "$file includes $inc"; continue ;;
			*/*) ;;
			*) continue ;; # generated, or beside the file
			esac
			target=${inc%%/*}
			[ -d "libfi/$target" ] || continue
			case "$allowed" in *" $target "*) ;; *) complain "$file includes $inc, but $room may use:$allowed" ;; esac
		done
	done
	# No cycles: a room must not be reachable from what it uses.
	for dep in $(deps_of "$room"); do
		case "$(closure "$dep")" in *" $room "*) complain "$room and $dep use each other" ;; esac
	done
done
for file in libfi/include/fusedinf/*.h; do
	grep -n '^#include "' "$file" && complain "$file includes a private header"
done
# The loop owns state: below it nobody knows sockets.
for file in daemon/core*.[ch] daemon/step.c daemon/request.c daemon/models.c daemon/catalogue.[ch] daemon/loop.[ch]; do
	[ -f "$file" ] || continue
	grep -n '"daemon/\(ipc\|control\|http\|kserve\|main\)\|"ipc/' "$file" && complain "$file looks up"
done
# The protocol knows no server, what is counted knows nobody.
grep -n 'microhttpd\|"daemon/\(ipc\|control\|http\|main\)' daemon/kserve.[ch] && complain "daemon/kserve looks up"
grep -n '"daemon/' daemon/metrics.[ch] | grep -v '"daemon/metrics.h"' && complain "daemon/metrics knows somebody"
grep -n '"daemon/\(ipc\|control\|main\)' daemon/http.[ch] && complain "daemon/http looks sideways"
[ $bad -eq 0 ] && echo "layers: every arrow points down"
exit $bad
