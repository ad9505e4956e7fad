// Package system has the tables of the machine itself: its operating system,
// hardware and clock, what it runs by schedule, and the agent on it.
package system
