package procsensor

import "time"

// finishUp takes our rules back and lets what the kernel still holds for us
// come, for a bounded time. The kernel throws the rest away.
func (r *auditRun) finishUp() {
	r.closing.Do(func() {
		c, err := openAuditControl()
		if err != nil {
			return // stop removes the rules as well
		}
		defer c.close()
		if err := r.hold.removeRules(c); err != nil {
			r.log.Warn("audit: rules not removed at once", "err", err)
		}
		// Records that the kernel once failed to hand over wait in a queue that
		// no counter shows, until the next record: so we send one now and then
		// and go on as long as that brings others along.
		for range 60 {
			before := r.received.Load()
			if err := c.ask(auditUser, []byte("edr: end"), nil); err != nil {
				return
			}
			select {
			case <-r.done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			s, err := c.status()
			if err != nil || (s.Waiting == 0 && r.received.Load() == before) {
				return
			}
		}
		r.out.Lost(0, "closed before all records were read")
	})
}
