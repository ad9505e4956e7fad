// Package edr is the root of an endpoint detection and response system; it
// holds the test of who may import whom. Start at README.md.
package edr
