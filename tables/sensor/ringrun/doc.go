// Package ringrun runs eBPF programs with a ring as a mechanism of a sensor:
// the life of the programs, losses, and the drain interval.
package ringrun
