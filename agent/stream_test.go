package agent

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor/eventlog"
)

func record(t *testing.T, log *eventlog.Log, pids ...int64) []event.Event {
	t.Helper()
	var events []event.Event
	for _, pid := range pids {
		events = append(events, execution(pid, pid*1e9, "/tmp/xmrig", fmt.Sprint("xmrig ", pid)))
	}
	if err := log.Append(events); err != nil {
		t.Fatal(err)
	}
	return events
}

func pids(k *kept) string {
	s := ""
	for _, h := range k.all() {
		s += fmt.Sprint(h.Process.PID, " ")
	}
	return s
}

// Every recorded event is matched once: live ones, those of the time in which
// the agent was dead, and those that a slow moment made it miss.
func TestStreamMatchesEveryRecordedEventOnce(t *testing.T) {
	dir := t.TempDir()
	log, err := eventlog.Open(eventlog.Options{Dir: filepath.Join(dir, "events"), Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	state := filepath.Join(dir, "rules.json")
	life := func(batches ...[]event.Event) *kept {
		d, k := newDetector(t, "observe", minerRule)
		s := &stream{d: d, log: log, path: state}
		s.resume(context.Background())
		c := make(chan []event.Event, len(batches))
		for _, b := range batches {
			c <- b
		}
		close(c)
		s.run(context.Background(), c)
		return k
	}

	record(t, log, 1) // before the first start: a new agent begins behind it
	d, k := newDetector(t, "observe", minerRule)
	s := &stream{d: d, log: log, path: state, first: log.LastID()}
	record(t, log, 2, 3) // while the first rules were waited for
	s.resume(context.Background())
	c := make(chan []event.Event, 8)
	live := record(t, log, 4)
	record(t, log, 5, 6) // the subscription was full
	c <- live
	c <- record(t, log, 7)
	c <- live // handed out twice
	close(c)
	s.run(context.Background(), c)
	if pids(k) != "2 3 4 5 6 7 " {
		t.Errorf("matched %s, want 2 to 7", pids(k))
	}

	record(t, log, 8, 9) // nobody matched them
	if k := life(); pids(k) != "8 9 " {
		t.Errorf("after a crash matched %s, want 8 9", pids(k))
	}
	if k := life(); pids(k) != "" {
		t.Errorf("matched %s again", pids(k))
	}
}

// The position is not saved past a hit that is not in the outbox yet.
func TestPositionWaitsForHits(t *testing.T) {
	d, _ := newDetector(t, "observe", minerRule)
	for i := range foldBurst + 1 {
		e := execution(9, 9e9, "/tmp/xmrig", "x")
		e.SetID(uint64(i + 1))
		d.see(e)
	}
	s := &stream{d: d, path: filepath.Join(t.TempDir(), "rules.json"), seen: 99}
	s.save()
	if s.saved != 0 {
		t.Error("the position was saved while hits are held back")
	}
	d.now = func() time.Time { return time.Now().Add(time.Hour) }
	d.flush(false)
	s.save()
	if s.saved != 99 {
		t.Error("the position was not saved once all hits were reported")
	}
}
