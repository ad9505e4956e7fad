package agent

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

func TestProblemsAreToldOnceWithTheirCount(t *testing.T) {
	k := &kept{}
	now := time.Unix(1000, 0)
	p := newProblems(k, silent, func() time.Time { return now })
	for range 5 {
		p.tell("query a", errors.New("no such table"))
	}
	p.tell("query b", errors.New("no such table"))
	p.tell("query a", nil)
	if len(k.problems) != 2 || k.problems[0].Source != "query a" || k.problems[0].Count != 1 {
		t.Fatalf("told %+v", k.problems)
	}
	now = now.Add(problemPause)
	p.tell("query a", errors.New("no such table"))
	if len(k.problems) != 3 || k.problems[2].Count != 5 {
		t.Errorf("after the pause told %+v, want the 4 held back and this one", k.problems[2:])
	}
}

func TestAnAgentAlonePrintsHits(t *testing.T) {
	var out bytes.Buffer
	r := &lineReporter{out: &out, log: silent}
	for _, err := range []error{
		r.Hit(wire.Hit{ID: "1", Title: "<b>\n"}), r.Outcome(wire.Outcome{ID: "2"}),
		r.Result(wire.Result{Query: "q"}), r.Health(wire.Health{}), r.Problem(wire.Problem{Error: "e"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"id":"1"`) || !strings.Contains(lines[1], `"id":"2"`) {
		t.Errorf("printed %q", lines)
	}
}
