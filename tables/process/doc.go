// Package process has the tables of running processes.
package process
