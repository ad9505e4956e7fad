package sensor

import (
	"context"
	"testing"
	"time"
)

func spin(d time.Duration) {
	tid := threadID()
	start, _ := threadCPU(tid)
	for {
		if now, _ := threadCPU(tid); now-start >= d {
			return
		}
	}
}

func TestMeterCountsOnlyCapture(t *testing.T) {
	const work = 30 * time.Millisecond
	m := &Meter{}
	ctx := WithMeter(context.Background(), m)
	ready, end, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		spinLocked(work) // before: not capture
		defer Metered(ctx)()
		spin(work)
		close(ready)
		<-end
	}()
	<-ready
	running := m.Total()
	if running < work {
		t.Errorf("%s counted while it runs, want at least %s", running, work)
	}
	spinLocked(2 * work) // another thread's work is not capture
	close(end)
	<-done
	ended := m.Total()
	if ended < running || ended > running+work {
		t.Errorf("%s counted after its end, want a little over %s", ended, running)
	}
	if len(m.threads) != 0 {
		t.Errorf("threads are left: %v", m.threads)
	}
	Metered(context.Background())() // without a meter
}

func spinLocked(d time.Duration) {
	defer Metered(WithMeter(context.Background(), &Meter{}))()
	spin(d)
}
