#!/bin/sh
# Fuzz one parser with clang and libFuzzer: tests/fuzz/run.sh plan|pack [SECONDS]
# The corpus and what was found stay in build/fuzz/<name>/. Exit 77 without clang.
set -eu
cd "$(dirname "$0")/../.."
name=${1:?usage: tests/fuzz/run.sh plan|pack [SECONDS]}
seconds=${2:-60}
command -v clang >/dev/null || { echo "SKIP fuzz: no clang" >&2; exit 77; }

out=build/fuzz/$name
mkdir -p "$out/corpus"
rooms="libfi/base/*.c libfi/graph/*.c libfi/graph/op/*.c libfi/plan/*.c"
libs="-lxxhash -lm"
if [ "$name" = pack ]; then
	rooms="$rooms libfi/pack/*.c"
	libs="$libs -ljansson"
	cp tests/golden/packs/*.fim "$out/corpus/"
else # the plans of the golden packs; data starts at 4096 there
	for pack in tests/golden/packs/tuned-*.fim; do
		offsets=$(head -c 4096 "$pack" | tr '{}' '\n' | grep -a -A1 '__fi.plan' | tail -n 1 |
			sed 's/.*data_offsets":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/')
		begin=${offsets% *} end=${offsets#* }
		tail -c +$((4096 + begin + 1)) "$pack" | head -c $((end - begin)) \
			> "$out/corpus/$(basename "$pack").plan"
	done
fi
# shellcheck disable=SC2086 # lists of files and libraries
clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	-D_GNU_SOURCE -Ilibfi/include -Ilibfi -I. -o "$out/fuzz" \
	"tests/fuzz/fuzz_$name.c" $rooms $libs
exec "$out/fuzz" -max_total_time="$seconds" -max_len=65536 -artifact_prefix="$out/" "$out/corpus"
