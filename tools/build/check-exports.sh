#!/bin/sh
# check-exports.sh LIBFI.SO PRELOAD.SO - what the library exports is what the public
# headers declare with FINF_API, all under the symbol version, and nothing else.
set -u
lib=$1 preload=$2
cd "$(dirname "$0")/../.." || exit 1
declared=$(sed -n '/FINF_API/,/;/p' libfi/include/fusedinf/*.h | tr '\n' ' ' |
	grep -o 'finf_[a-z0-9_]*(' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$lib" | sed -n 's/.* T \(finf_[a-z0-9_]*\)@@FUSEDINF_0$/\1/p' | sort -u)
others=$(nm -D --defined-only "$lib" | awk '{print $NF}' | grep -v -e '^finf_.*@@FUSEDINF_0$' -e '^FUSEDINF_0')
[ "$declared" = "$exported" ] || {
	echo "check-exports: declared and exported differ:" >&2
	printf '%s\n' "$declared" > /tmp/declared.$$
	printf '%s\n' "$exported" | diff /tmp/declared.$$ - >&2
	rm -f /tmp/declared.$$
	exit 1
}
[ -z "$others" ] || { echo "check-exports: $lib also exports: $others" >&2; exit 1; }
major=$(sed -n 's/^#define FUSEDINF_VERSION_MAJOR //p' libfi/include/fusedinf/version.h)
grep -q "^FUSEDINF_$major {" libfi/libfi.map || { echo "check-exports: libfi.map is not of version $major" >&2; exit 1; }
# The preload library shows dlsym and the driver's names it stands in front of.
others=$(nm -D --defined-only "$preload" | awk '{print $NF}' | grep -v -e '^dlsym$' -e '^cu[A-Z]')
[ -z "$others" ] || { echo "check-exports: $preload also exports: $others" >&2; exit 1; }
for name in dlsym cuMemAlloc_v2 cuLaunchKernel cuGetProcAddress cuGetProcAddress_v2; do
	nm -D --defined-only "$preload" | grep -q " T $name\$" ||
		{ echo "check-exports: $preload does not export $name" >&2; exit 1; }
done
echo "exports: $(printf '%s\n' "$exported" | wc -l) functions, all declared"
