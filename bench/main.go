// Command bench prints what edr costs, as a ratio to the floor or peer that
// the machine can run: go run -tags sqlite_vtable ./bench [NAME…]
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
)

// benchmark is one figure of the design with the function that measures it.
type benchmark struct {
	name string
	run  func(io.Writer) error
}

func benchmarks() []benchmark {
	return []benchmark{
		{"engine", Engine},
		{"capture", Capture},
		{"eventlog", EventLog},
		{"files", Files},
		{"processes", Processes},
		{"connections", Connections},
		{"rules", Rules},
		{"rest", Rest},
		{"storm", Storm},
		{"seal", Seal},
		{"checkins", CheckIns},
		{"inserts", Inserts},
	}
}

func main() {
	if os.Getenv(holdEnv) != "" {
		if err := holdSockets(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: hold sockets:", err)
			os.Exit(1)
		}
		return
	}
	capturePart()
	var known []string
	for _, b := range benchmarks() {
		known = append(known, b.name)
	}
	for _, name := range os.Args[1:] {
		if !slices.Contains(known, name) {
			fmt.Fprintf(os.Stderr, "bench: there is no benchmark %q; there are %v\n", name, known)
			os.Exit(2)
		}
	}
	failed := false
	for _, b := range benchmarks() {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], b.name) {
			continue
		}
		fmt.Printf("== %s\n", b.name)
		if err := b.run(os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", b.name, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
