//go:build !windows

package agent

func withoutSockets(error) bool { return false }
