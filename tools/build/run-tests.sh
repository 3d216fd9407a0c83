#!/bin/sh
# run-tests.sh PROGRAM... - run Check programs one after the other, show what
# failed or was skipped, and close with one line summed over all of them.
# A program that crashes or prints no Check summary counts as one error.
set -u
checks=0 failures=0 errors=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
for program; do
	start=$(date +%s)
	timeout "${TEST_TIMEOUT:-900}" "$program" >"$log" 2>&1
	rc=$?
	seconds=$(($(date +%s) - start))
	sed -n 's/^SKIP /  SKIP /p' "$log"
	skipped=$((skipped + $(grep -c '^SKIP ' "$log")))
	counts=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' "$log")
	if [ -z "$counts" ]; then
		[ $rc -eq 77 ] && continue
		counts="1 0 1"
	fi
	echo "$counts" > "$log.n"
	c=0 f=0 e=0
	while read -r a b d; do c=$((c + a)) f=$((f + b)) e=$((e + d)); done < "$log.n"
	rm -f "$log.n"
	[ $rc -ne 0 ] && [ $rc -ne 77 ] && [ $((f + e)) -eq 0 ] && e=1
	checks=$((checks + c)) failures=$((failures + f)) errors=$((errors + e))
	if [ $((f + e)) -ne 0 ]; then
		printf 'FAIL %s (exit %d)\n' "$program" "$rc"
		grep -v '^SKIP ' "$log" | tail -n 80
	else
		printf '  ok   %s (%d, %d s)\n' "$program" "$c" "$seconds"
	fi
done
passed=$((checks - failures - errors))
pct=100
[ "$checks" -gt 0 ] && pct=$((passed * 100 / checks))
[ "$skipped" -gt 0 ] && echo "skipped: $skipped, named above"
echo "$pct%: Checks: $checks, Failures: $failures, Errors: $errors"
[ $((failures + errors)) -eq 0 ] && [ "$checks" -gt 0 ]
