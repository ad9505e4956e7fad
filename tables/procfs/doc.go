// Package procfs reads /proc: parsers that take bytes and know no file system,
// and a Reader that feeds them from the live machine, or from a copied tree,
// with few system calls and reused memory. Field numbers in comments are those
// of proc(5).
package procfs
