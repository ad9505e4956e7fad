package bpf

// gaps finds missing numbers. Each CPU counts its records on its own; two
// records of one CPU can arrive in turned order when one program interrupts
// another, so that a missing number counts only if it is still missing at the
// next look.
type gaps struct {
	cpus map[uint32]*cpuGaps
}

type cpuGaps struct {
	next     uint64 // one above the highest number seen
	received uint64
	before   uint64 // missing and unexplained at the last look
	reported uint64
}

func (g *gaps) saw(cpu uint32, seq uint64) {
	c := g.cpus[cpu]
	if c == nil {
		if g.cpus == nil {
			g.cpus = map[uint32]*cpuGaps{}
		}
		c = &cpuGaps{}
		g.cpus[cpu] = c
	}
	c.received++
	c.next = max(c.next, seq+1)
}

// unexplained returns how many more numbers of the CPU are missing than were
// told before, above those that the program itself counted as dropped.
func (g *gaps) unexplained(cpu uint32, dropped uint64) uint64 {
	c := g.cpus[cpu]
	if c == nil || c.next <= c.received+dropped {
		if c != nil {
			c.before = 0
		}
		return 0
	}
	missing := c.next - c.received - dropped
	sure := min(missing, c.before)
	c.before = missing
	if sure <= c.reported {
		return 0
	}
	n := sure - c.reported
	c.reported = sure
	return n
}
