#!/bin/sh
# check-headers.sh CC CFLAGS... - every header compiles alone; public ones also as C++.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
for header in libfi/include/fusedinf/*.h libfi/*/*.h daemon/*.h bpf/include/*.h tools/probe/*.h tests/support/*.h; do
	[ -f "$header" ] || continue
	case "$header" in */onnxbuild.h) continue ;; esac # includes generated code
	echo "#include \"$header\"" | "$@" -x c -fsyntax-only - || { echo "check-headers: $header" >&2; bad=1; }
	lines=$(wc -l < "$header")
	[ "$lines" -le 260 ] || { echo "check-headers: $header has $lines lines" >&2; bad=1; }
done
if command -v g++ > /dev/null; then
	for header in libfi/include/fusedinf/*.h; do
		echo "#include \"$header\"" | g++ -Ilibfi/include -I. -x c++ -fsyntax-only - ||
			{ echo "check-headers: $header as C++" >&2; bad=1; }
	done
fi
[ $bad -eq 0 ] && echo "headers: each compiles alone"
exit $bad
