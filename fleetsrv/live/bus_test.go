package live

import (
	"fmt"
	"testing"

	"github.com/aiedr/edr/fleetsrv/store"
)

func TestBus(t *testing.T) {
	b := NewBus()
	b.Publish(Change{TopicHost, "before"})
	s, other := b.Subscribe(), b.Subscribe()
	defer other.Close()
	b.Publish(Change{TopicHost, "h"}, Change{TopicAlert, "1"}, Change{TopicHost, "h"})
	<-s.Ready
	got, missed := s.Take()
	if fmt.Sprint(got, missed) != "[{host h} {alert 1}] false" {
		t.Errorf("%v %v", got, missed)
	}
	if got, _ := s.Take(); len(got) != 0 {
		t.Errorf("told twice: %v", got)
	}
	// One who does not read costs no more than the bound, and learns of it.
	for i := range maxUnread + 10 {
		b.Publish(Change{TopicAlert, fmt.Sprint(i)})
	}
	got, missed = s.Take()
	if len(got) != maxUnread || !missed || got[len(got)-1].ID != fmt.Sprint(maxUnread+9) {
		t.Errorf("%d changes, missed %v, last %v", len(got), missed, got[len(got)-1])
	}
	if _, missed := s.Take(); missed {
		t.Error("missed is said twice")
	}
	s.Close()
	if b.Subscribers() != 1 {
		t.Errorf("%d subscribers", b.Subscribers())
	}
}

func TestWatcherKeepsTheNewest(t *testing.T) {
	w := &Watcher{Ready: make(chan struct{}, 1), hosts: map[string]store.QueryHost{}}
	w.tell(store.QueryHost{Host: "h", State: store.QuerySent, Rows: 5}, false)
	w.tell(store.QueryHost{Host: "h", State: store.QueryRows}, true) // a move knows no rows
	w.tell(store.QueryHost{Host: "g", State: store.QueryNone}, false)
	<-w.Ready
	hosts, done := w.Take()
	if len(hosts) != 2 || done {
		t.Fatalf("%v %v", hosts, done)
	}
	for _, h := range hosts {
		if h.Host == "h" && (h.State != store.QueryRows || h.Rows != 5) {
			t.Errorf("%+v", h)
		}
	}
	w.finish()
	if hosts, done := w.Take(); len(hosts) != 0 || !done {
		t.Errorf("%v %v", hosts, done)
	}
}
