#!/bin/sh
# run.sh [--out DIR] [--quick] [--networks LIST] [--libcuda PATH] - what a real GPU says to the
# CUDA device: one command on a machine with a driver, from the folder made by
# `make gpu-bundle`. Writes DIR/report.md and DIR/report.json (default
# ./gpu-report). Each step is bounded, all of them to 7 minutes; a failed one does
# not stop the next. Exit status: 0, 1 when what must be right was not, 77 without
# a GPU. --quick takes one small network; --networks names those of `fictl zoo` to
# take, for all steps; --libcuda names another driver.
set -u
here=$(cd "$(dirname "$0")" && pwd)

# shellcheck disable=SC2317 # parts are called by their names
# ---- parts that are more than one command: run.sh part NAME ARGUMENT... ----------

# fid on a pool of the mode; its pid goes to the file @fid of the work folder.
part_start() {
	"$here/fid" --root "$WORK/models" --device cuda --pool-mode "$1" --pool "$POOL" \
		--prefetch off --socket "$FUSEDINF_SOCKET" || return 1
	"$here/fictl" status --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' >"$WORK/fid"
	"$here/fictl" status | grep '^pool'
}
# SIGTERM, and until it is gone.
part_stop() {
	read -r pid <"$WORK/fid" || return 1
	kill "$pid" || return 1
	while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
	echo "fid ended"
}
# What the driver and the pool have free, before and after so many loads.
free_bytes() { "$here/fictl" status --json | tr -d '\n' | sed -n 's/.*"device_free": \([0-9]*\).*/\1/p'; }
part_cycle() {
	before=$(free_bytes)
	i=0
	while [ $i -lt "$3" ]; do
		"$here/fictl" load "$2" >"$WORK/said" && "$here/fictl" unload "$2" >"$WORK/said" || return 1
		i=$((i + 1))
	done
	after=$(free_bytes)
	more memory "{\"pool_mode\": \"$1\", \"cycles\": $3, \"free_before\": ${before:-null}, \"free_after\": ${after:-null}}"
	echo "device free before $before, after $after bytes, $3 cycles"
	[ -n "$before" ] && [ "$before" = "$after" ]
}
# One more element of a list of the report.
more() { printf '%s%s' "$([ ! -s "$WORK/$1" ] || echo ', ')" "$2" >>"$WORK/$1"; }
# One network on both devices, and the time of its run; each leaves its figure for the report.
part_compare() {
	"$here/fictl" run "$2" --device cuda --against host --json >"$WORK/said" || return 1
	sed -n 's/.*"relative_l2": \([0-9.e+-]*\).*/\1/p' "$WORK/said" >"$WORK/$1.l2"
	echo "relative L2 $(cat "$WORK/$1.l2")"
}
part_time() {
	"$here/fictl" run "$2" --device cuda --repeat "$3" --json >"$WORK/said" || return 1
	awk -F': ' '/"median_ns"/ {printf "%.3f", $2 / 1e6}' "$WORK/said" >"$WORK/$1.ms"
	echo "median of $3: $(cat "$WORK/$1.ms") ms"
}
# Variants of one backbone as one group, batched or not, beside the host.
part_group() {
	"$here/fictl" fuse "$here/variant0.onnx" "$here/variant1.onnx" "$here/variant2.onnx" \
		-o "$WORK/group.$1.fim" --batched "$1" --optimize "$2" --no-verdict || return 1
	part_compare "group.$1" "$WORK/group.$1.fim"
}
# The same through fid: a member of the cold group, all of it, swapped out and in.
part_members() {
	for k in 0 1 2; do "$here/fictl" import "$here/variant$k.onnx" || return 1; done
	"$here/fictl" fuse variant0 variant1 variant2 --name group --batched always --no-verdict &&
		"$here/fictl" infer group/variant1 --outputs "$WORK/member.npy" &&
		"$here/fictl" infer variant1 --outputs "$WORK/alone.npy" &&
		"$here/fictl" infer group --repeat 3 && "$here/fictl" unload group &&
		"$here/fictl" infer group --repeat 3 &&
		"$here/fictl" infer group/variant1 --outputs "$WORK/again.npy" &&
		"$here/fictl" unload group || return 1
	cmp "$WORK/member.npy" "$WORK/alone.npy" && cmp "$WORK/again.npy" "$WORK/alone.npy" || return 1
	echo "a member answers as alone, before and after"
}
figure() { cat "$WORK/$1" 2>/dev/null || echo null; }
# Swap-ins beside a copy and reads of the same bytes, alternating.
part_swap() {
	"$here/fictl" bench swap --json --device cuda --pool-mode "$1" --model "$2" --fio 1024x8 \
		--repeat "$3" >"$WORK/rows" || return 1
	more swaps "$(cat "$WORK/rows")"
	awk -F'": ' '
		{ key = $1; sub(/^ *"/, "", key); sub(/,$/, "", $2); gsub(/"/, "", $2); row[key] = $2 }
		/^ }/ && "skipped" in row { printf "%s: skipped, %s\n", row["what"], row["skipped"] }
		/^ }/ && "value" in row {
			printf "%s: %.2f GB/s, %.2f of %s (%.2f GB/s)\n", row["what"], row["value"],
				row["ratio"], row["baseline"], row["baseline_value"]
			if (!(substr(row["what"], 1, 4) in seen))
				best = best sprintf("%s%.4s %.2f GB/s, %.2f of %s", best ? "; " : "", row["what"],
					row["value"], row["ratio"], row["baseline"])
			seen[substr(row["what"], 1, 4)]
		}
		/^ }/ { delete row }
		END { print best }' "$WORK/rows"
}
if [ "${1-}" = part ]; then
	part=$2
	shift 2
	"part_$part" "$@"
	exit
fi

# ---- options ------------------------------------------------------------------------

out=gpu-report quick="" zoo="" cycles=100 repeat=50 repeat_swap=9 POOL=25%
while [ $# -gt 0 ]; do
	case "$1" in
	--out) out=$2; shift ;;
	--quick) quick=yes cycles=5 repeat=3 repeat_swap=2 POOL=64M ;;
	--networks) zoo=$2; shift ;;
	--libcuda)
		FUSEDINF_LIBCUDA=$2 LD_LIBRARY_PATH=$(dirname "$2")
		export FUSEDINF_LIBCUDA LD_LIBRARY_PATH
		shift ;;
	*) echo "usage: run.sh [--out DIR] [--quick] [--networks LIST] [--libcuda PATH]" >&2; exit 2 ;;
	esac
	shift
done
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
WORK=$(mktemp -d) || exit 1
FUSEDINF_SOCKET=$WORK/fid.sock
export WORK FUSEDINF_SOCKET POOL
end() {
	[ ! -s "$WORK/fid" ] || kill -9 "$(cat "$WORK/fid")" 2>/dev/null
	rm -rf "$WORK"
}
trap end EXIT
"$here/fictl" doctor >"$WORK/doctor" 2>&1
if ! grep -q '^CUDA  *ok' "$WORK/doctor"; then
	grep '^CUDA' "$WORK/doctor" >&2
	exit 77
fi

# ---- steps ------------------------------------------------------------------------------

bad=0 deadline=$(($(date +%s) + 420))
for file in table json details networks swaps memory; do : >"$WORK/$file"; done

# step must|may NAME SECONDS COMMAND... - the last line it prints is its result.
step() {
	must=$1 name=$2 limit=$3
	shift 3
	began=$(date +%s)
	[ $((deadline - began)) -ge "$limit" ] || limit=$((deadline - began))
	rc=124
	: >"$WORK/step"
	[ "$limit" -lt 1 ] || { timeout -k 5 "$limit" "$@" >"$WORK/step" 2>&1; rc=$?; }
	case $rc in 0) result=ok ;; 124 | 137) result="out of time" ;; *) result=failed ;; esac
	[ "$must" != must ] || [ $rc -eq 0 ] || bad=1
	says=$(tail -n 1 "$WORK/step" | tr -d '"\\|`' | tr -cd '[:print:]')
	seconds=$(($(date +%s) - began))
	printf '%-12s %s: %s\n' "$result" "$name" "$says"
	printf '| %s | %s | %s | %s | %s |\n' "$name" "$must" "$result" "$seconds" "$says" >>"$WORK/table"
	printf '%s{"step": "%s", "must": %s, "result": "%s", "status": %d, "seconds": %d, "says": "%s"}' \
		"$([ ! -s "$WORK/json" ] || echo ',')" "$name" "$([ "$must" = must ] && echo true || echo false)" \
		"$result" "$rc" "$seconds" "$says" >>"$WORK/json"
	{ printf '\n## %s\n\n' "$name"; sed 's/^/    /' "$WORK/step"; } >>"$WORK/details"
	return $rc
}

[ -n "$zoo" ] || zoo=$("$here/fictl" zoo | tr '\n' ' ')
# A few networks show a mode of the pool; small, middling and large files show the loader.
some="" swapped=""
for network in $zoo; do
	case $network in squeezenet1_1 | resnet18 | cifar_resnet18) some="$some $network" ;; esac
	case $network in squeezenet1_1 | resnet50 | vgg16) swapped="$swapped $network" ;; esac
done
[ -z "$quick" ] || zoo="" some="" swapped=squeezenet1_1
step may doctor 30 grep '^CUDA' "$WORK/doctor"
[ -n "$quick" ] || step may probe 120 "$here/probe" "$WORK"
cp "$here/digits.onnx" "$WORK/digits.onnx"
for network in digits $zoo; do
	file=$WORK/$network.onnx
	[ -f "$file" ] || step must "$network: write" 30 "$here/fictl" zoo "$network" -o "$file"
	step must "$network: cuda against host" 60 "$0" part compare "$network" "$file"
	step may "$network: time of a run" 60 "$0" part time "$network" "$file" "$repeat"
	more networks "{\"name\": \"$network\", \"relative_l2\": $(figure "$network.l2"), \"run_ms\": $(figure "$network.ms")}"
done
step must "operators: cuda against host" 60 "$0" part compare operators "$here/operators.onnx"
for batched in always never; do
	name="group, batched $batched"
	step must "$name: cuda against host" 60 "$0" part group $batched latency
	step may "$name: time of a run" 60 "$0" part time "group.$batched" "$WORK/group.$batched.fim" "$repeat"
	more networks "{\"name\": \"$name\", \"relative_l2\": $(figure "group.$batched.l2"), \"run_ms\": $(figure "group.$batched.ms")}"
done
all="digits $zoo"
for mode in vmm plain managed; do
	must=must
	[ $mode != managed ] || must=may # not every card has it
	rm -rf "$WORK/models" "$WORK/fid"
	step $must "$mode: start" 60 "$0" part start $mode || continue
	for network in $all; do
		step $must "$mode: import $network" 60 "$here/fictl" import "$WORK/$network.onnx"
		step $must "$mode: infer $network" 60 "$here/fictl" infer "$network" --repeat 3
		step $must "$mode: unload $network" 30 "$here/fictl" unload "$network"
	done
	step $must "$mode: a batched group" 60 "$0" part members
	step $must "$mode: memory comes back" 60 "$0" part cycle $mode digits $cycles
	step $must "$mode: stop" 60 "$0" part stop
	for network in $swapped; do
		step may "$mode: swap in $network" 40 "$0" part swap $mode "$network" "$repeat_swap"
	done
	all="digits $some"
done

# ---- report ---------------------------------------------------------------------------------

verdict=$([ $bad -eq 0 ] && echo "all that must be right is right" || echo "something that must be right is not")
{
	printf '# Report of the CUDA device\n\n%s. %s.\n\n' "$(uname -srm)" "$verdict"
	printf '| step | | result | s | says |\n|---|---|---|---|---|\n'
	cat "$WORK/table" "$WORK/details"
} >"$out/report.md"
cuda=$(grep '^CUDA' "$WORK/doctor")
printf '{"machine": "%s", "device": "%s", "driver": "%s", "right": %s, "networks": [%s], "memory": [%s], "swaps": [%s], "steps": [%s]}\n' \
	"$(uname -srm)" "$(echo "$cuda" | sed 's/.*device=\(.*\) driver=.*/\1/' | tr -d '"\\')" \
	"$(echo "$cuda" | sed 's/.* driver=\([^ ]*\).*/\1/')" "$([ $bad -eq 0 ] && echo true || echo false)" \
	"$(cat "$WORK/networks")" "$(cat "$WORK/memory")" "$(cat "$WORK/swaps")" "$(cat "$WORK/json")" >"$out/report.json"
echo "$verdict: $out/report.md"
exit $bad
