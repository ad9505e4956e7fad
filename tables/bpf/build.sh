#!/bin/sh
# Compiles the eBPF programs under src/ to the objects that are committed and
# embedded, and records the hash of the sources beside them. Needs clang,
# llvm-strip and libbpf-dev. One object serves every little-endian machine: no
# program depends on the processor, and the loader fills in kernel offsets.
set -eu
cd "$(dirname "$0")"
CLANG=${CLANG:-clang}
STRIP=${LLVM_STRIP:-llvm-strip}
OUT=${1:-obj}
# linux/types.h includes asm/types.h, which Debian keeps per architecture.
ASM=/usr/include/$($CLANG -print-target-triple 2>/dev/null | sed 's/-pc-/-/;s/-unknown-/-/')
mkdir -p "$OUT"
for src in src/*.bpf.c; do
	obj=$OUT/$(basename "$src" .bpf.c).bpfel.o
	$CLANG -target bpfel -mcpu=v3 -O2 -g -Wall -Werror -I "$ASM" \
		-fdebug-prefix-map="$PWD"=. -c "$src" -o "$obj"
	$STRIP -g "$obj"
done
LC_ALL=C; export LC_ALL
cat src/*.h src/*.c | sha256sum | cut -d' ' -f1 >"$OUT/SOURCES.sha256"
$CLANG --version | head -n 1 >"$OUT/CLANG"
