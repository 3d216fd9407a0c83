#!/bin/sh
# bundle.sh DIR - strips the programs in DIR and copies the libraries they need
# to DIR/lib, but for those of glibc and gcc, which every system has; fails when
# something needs a glibc newer than 2.35, or all of it is larger than 64 MiB.
set -eu
cd "$1"
strip fid fictl probe
for file in $(ldd fid fictl probe | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u); do
	case "${file##*/}" in
	libc.so* | libm.so* | libpthread.so* | libdl.so* | librt.so* | ld-linux* | libstdc++.so* | libgcc_s.so*) ;;
	libasan.so* | libubsan.so* | libtsan.so*) ;; # a build for tests stays here
	*) cp -L "$file" lib/ ;;
	esac
done
newest=$(for file in fid fictl probe lib/*; do objdump -T "$file"; done | grep -o 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1)
size=$(du -sm . | cut -f 1)
echo "  glibc   $newest is the newest, $size MiB in all"
limit=64
! ldd fid | grep -q libasan || limit=100 # instrumented programs are larger
[ "$size" -lt $limit ] && [ "$(printf '%s\nGLIBC_2.35\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.35 ]
