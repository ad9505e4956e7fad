// Package bpf holds our eBPF programs, their compiled objects and the typed
// loaders and record decoders for them. It is a leaf: it knows kernels and
// records, and nothing of tables or events.
//
// The programs are C under src/; build.sh compiles them to obj/, which is
// committed, so that building needs no clang. One object serves every
// little-endian machine: offsets come from the running kernel's BTF, and no
// program depends on the processor's registers at compile time. The kernel
// must be 5.12 or later with BTF; LoadError says what a kernel lacks.
package bpf

//go:generate ./build.sh
