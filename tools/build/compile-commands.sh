#!/bin/sh
# compile-commands.sh DIR COMMAND FILE... - compile_commands.json from the flags of the Makefile.
set -eu
dir=$1 command=$2
shift 2
printf '['
sep=''
for file; do
	printf '%s\n{"directory": "%s", "command": "%s -c %s", "file": "%s"}' "$sep" "$dir" "$command" "$file" "$file"
	sep=,
done
printf '\n]\n'
