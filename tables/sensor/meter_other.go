//go:build !linux

package sensor

import "time"

func threadID() int { return 0 }

// threadCPU is not read here: capture counts as the agent's other work.
func threadCPU(int) (time.Duration, bool) { return 0, false }
