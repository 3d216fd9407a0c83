#!/bin/sh
# run.sh [--out DIR] [--quick] [--libcuda PATH] - what a real GPU says to the
# CUDA device: one command on a machine with a driver, from the folder made by
# `make gpu-bundle`. Writes DIR/report.md and DIR/report.json (default
# ./gpu-report). Each step is bounded, all of them to 7 minutes; a failed one does
# not stop the next. Exit status: 0, 1 when what must be right was not, 77 without
# a GPU. --quick takes one small network; --libcuda names another driver.
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
	while [ $i -lt "$2" ]; do
		"$here/fictl" load "$1" >"$WORK/said" && "$here/fictl" unload "$1" >"$WORK/said" || return 1
		i=$((i + 1))
	done
	after=$(free_bytes)
	echo "device free before $before, after $after bytes, $2 cycles"
	[ -n "$before" ] && [ "$before" = "$after" ]
}
# The rate of a load from the drive, and of one that the page cache may answer.
part_swap() {
	rates=""
	for kind in cold warm; do
		if [ $kind = cold ]; then
			sync
			kind=$({ echo 1 >/proc/sys/vm/drop_caches; } 2>/dev/null && echo cold || echo "not dropped")
		fi
		"$here/fictl" load "$1" >"$WORK/said" || return 1
		rates="$rates $kind $("$here/fictl" models | sed -n "s/^$1:.* \([0-9.]* GB\/s\)\$/\1/p"),"
		"$here/fictl" unload "$1" >"$WORK/said" || return 1
	done
	echo "${rates# } to be read beside the copies and reads of the probe"
}
if [ "${1-}" = part ]; then
	part=$2
	shift 2
	"part_$part" "$@"
	exit
fi

# ---- options ------------------------------------------------------------------------

out=gpu-report quick="" cycles=100 repeat=50 POOL=25%
while [ $# -gt 0 ]; do
	case "$1" in
	--out) out=$2; shift ;;
	--quick) quick=yes cycles=5 repeat=3 POOL=64M ;;
	--libcuda)
		FUSEDINF_LIBCUDA=$2 LD_LIBRARY_PATH=$(dirname "$2")
		export FUSEDINF_LIBCUDA LD_LIBRARY_PATH
		shift ;;
	*) echo "usage: run.sh [--out DIR] [--quick] [--libcuda PATH]" >&2; exit 2 ;;
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
: >"$WORK/table"; : >"$WORK/json"; : >"$WORK/details"

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

networks=digits
[ -n "$quick" ] || networks="digits $("$here/fictl" zoo | tr '\n' ' ')"
step may doctor 30 grep '^CUDA' "$WORK/doctor"
[ -n "$quick" ] || step may probe 120 "$here/probe" "$WORK"
cp "$here/digits.onnx" "$WORK/digits.onnx"
for network in $networks; do
	file=$WORK/$network.onnx
	[ -f "$file" ] || step must "$network: write" 30 "$here/fictl" zoo "$network" -o "$file"
	step must "$network: cuda against host" 60 "$here/fictl" run "$file" --device cuda --against host
	step may "$network: time of a run" 60 "$here/fictl" run "$file" --device cuda --repeat "$repeat"
done
for mode in vmm plain managed; do
	must=must
	[ $mode != managed ] || must=may # not every card has it
	rm -rf "$WORK/models" "$WORK/fid"
	step $must "$mode: start" 60 "$0" part start $mode || continue
	for network in $networks; do
		step $must "$mode: import $network" 60 "$here/fictl" import "$WORK/$network.onnx"
		step $must "$mode: infer $network" 60 "$here/fictl" infer "$network" --repeat 3
		step $must "$mode: unload $network" 30 "$here/fictl" unload "$network"
		step may "$mode: swap in $network" 60 "$0" part swap "$network"
	done
	step $must "$mode: memory comes back" 60 "$0" part cycle digits $cycles
	step $must "$mode: stop" 60 "$0" part stop
done

# ---- report ---------------------------------------------------------------------------------

verdict=$([ $bad -eq 0 ] && echo "all that must be right is right" || echo "something that must be right is not")
{
	printf '# Report of the CUDA device\n\n%s. %s.\n\n' "$(uname -srm)" "$verdict"
	printf '| step | | result | s | says |\n|---|---|---|---|---|\n'
	cat "$WORK/table" "$WORK/details"
} >"$out/report.md"
printf '{"machine": "%s", "right": %s, "steps": [%s]}\n' "$(uname -srm)" \
	"$([ $bad -eq 0 ] && echo true || echo false)" "$(cat "$WORK/json")" >"$out/report.json"
echo "$verdict: $out/report.md"
exit $bad
