package sensor

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Meter counts the CPU time of capture: of the threads that read the kernel's
// events and bring them to the log. The CPU limit does not hold them up, and
// what they cost is shown beside it.
type Meter struct {
	mu      sync.Mutex
	threads map[int]int // thread id to how many goroutines entered it
	ended   time.Duration
}

type meterKey struct{}

// WithMeter gives a meter to the mechanisms that are started with the context.
func WithMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// Metered counts the calling goroutine's work as capture until the returned
// function is called. It locks the goroutine to its thread, since the clock is
// the thread's. Without a meter in the context it does nothing.
//
//	defer sensor.Metered(ctx)()
func Metered(ctx context.Context) func() {
	m, _ := ctx.Value(meterKey{}).(*Meter)
	return m.Enter()
}

// Enter is Metered for who has the meter itself; it may be nil.
func (m *Meter) Enter() func() {
	if m == nil {
		return func() {}
	}
	runtime.LockOSThread()
	tid := threadID()
	before, ok := threadCPU(tid)
	if !ok {
		runtime.UnlockOSThread()
		return func() {}
	}
	m.mu.Lock()
	if m.threads == nil {
		m.threads = map[int]int{}
	}
	m.threads[tid]++
	m.ended -= before // what the thread did earlier was not capture
	m.mu.Unlock()
	return func() {
		m.mu.Lock()
		if m.threads[tid]--; m.threads[tid] == 0 {
			delete(m.threads, tid)
		}
		if after, ok := threadCPU(tid); ok {
			m.ended += after
		}
		m.mu.Unlock()
		runtime.UnlockOSThread()
	}
}

// Total is the CPU time of capture since the meter was made.
func (m *Meter) Total() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := m.ended
	for tid, n := range m.threads {
		if cpu, ok := threadCPU(tid); ok {
			total += cpu * time.Duration(n)
		}
	}
	return total
}
