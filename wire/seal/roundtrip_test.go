package seal

import (
	"testing"

	"github.com/aiedr/edr/wire"
)

func TestRoundTrip(t *testing.T) {
	w := newWorld(t)
	c := w.agent()
	if c.HostID() == "" || !c.Enrolled() {
		t.Fatal("enrolled without an id")
	}
	ack, err := c.Post(t.Context(), []wire.Record{record("box", 1, "one"), record("box", 2, "two")})
	if err != nil || ack != 2 {
		t.Fatalf("ack %d, %v; want 2", ack, err)
	}
	w.send(command(c.HostID(), 1, "n1"))
	got, err := c.Poll(t.Context())
	if err != nil || len(got) != 1 || got[0].Type != wire.CommandQuery || got[0].Serial != 1 {
		t.Fatalf("poll gave %v, %v", got, err)
	}
	if err := c.Answer(t.Context(), wire.Answer{Query: "q1", Part: 1, Columns: []string{"a"}, Rows: []wire.Row{{wire.ValueOf(1)}}, Done: true}); err != nil {
		t.Fatal(err)
	}
	if len(w.answers) != 1 || w.answers[0].Rows[0][0].Any() != int64(1) {
		t.Fatalf("the server has answers %v", w.answers)
	}
	if w.count(EventSession) != 1 || w.now().Sessions() != 1 {
		t.Fatalf("%d sessions begun, %d open; want 1, 1", w.count(EventSession), w.now().Sessions())
	}
	if n := w.now().Counters.Total() + c.Counters.Total(); n != 0 {
		t.Fatalf("refusals in a clean run: %v %v", w.now().Counters.Map(), c.Counters.Map())
	}
}
