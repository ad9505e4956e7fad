package governor

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/engine"
)

// burning is a fake clock on which CPU time runs with each reading, as it
// does while a query works.
type burning struct{ *fake }

func (b burning) cpu() (time.Duration, error) {
	b.work(5*time.Millisecond, 5*time.Millisecond)
	return b.fake.cpu()
}

func (b burning) now() time.Time {
	b.work(time.Millisecond, 0)
	return b.fake.now()
}

// TestQueryIsSlowedAndThenStopped runs a query without end under a governor:
// it waits for its share, and is stopped by name once its deadline is too near.
func TestQueryIsSlowedAndThenStopped(t *testing.T) {
	type row struct {
		N int64 `col:"n" doc:"Number."`
	}
	forever := tables.New(tables.Spec[row]{
		Name: "forever", Doc: "Test.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
		Scan: func(context.Context, *tables.Query) iter.Seq2[row, error] {
			return func(yield func(row, error) bool) {
				for i := int64(0); yield(row{i}, nil); i++ {
				}
			}
		},
	})
	e, err := engine.New([]*tables.Table{forever}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := newFake()
	began := time.Now() // deadlines are by the machine's clock
	f.t = began
	g, err := newWith(5, burning{f})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Collect(context.Background(), &tables.Host{Pacer: g}, engine.Request{
		SQL: "SELECT max(n) FROM forever", Classes: engine.AllClasses(), Deadline: 5 * time.Minute,
	})
	var budget *BudgetError
	if !errors.As(err, &budget) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "CPU limit of 5% of a core") {
		t.Fatalf("the query ended with %v", err)
	}
	s := g.Stats()
	if s.Stopped == 0 || s.Waits < 10 || s.Paced < 2*time.Minute {
		t.Errorf("it was not slowed first: %+v", s)
	}
	if share := 100 * float64(f.used) / float64(f.now().Sub(began)); share > 7 {
		t.Errorf("it used %.1f%% of a core", share)
	}
}
