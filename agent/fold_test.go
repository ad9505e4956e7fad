package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

func TestFoldingKeepsTheCount(t *testing.T) {
	f := newFolder()
	now := time.Unix(1000, 0)
	const hits = foldBurst + 135
	var reported int64
	for i := range hits {
		h := &wire.Hit{ID: fmt.Sprint(i), Rule: wire.RuleRef{ID: "r"}, Entity: "/tmp/x", Count: 1}
		if f.pass(h, now) {
			reported += h.Count
		}
	}
	if reported != foldBurst {
		t.Errorf("%d hits passed at once, want the burst of %d", reported, foldBurst)
	}
	if other := (&wire.Hit{Rule: wire.RuleRef{ID: "r"}, Entity: "/tmp/y", Count: 1}); !f.pass(other, now) {
		t.Error("another entity was folded into the first")
	}
	if early := f.due(now.Add(foldWindow-1), false); len(early) != 0 {
		t.Errorf("%d folded hits before the window's end", len(early))
	}
	for _, h := range f.due(now.Add(foldWindow), false) {
		reported += h.Count
	}
	if reported != hits {
		t.Errorf("%d hits are accounted for, want %d", reported, hits)
	}
	if again := f.due(now.Add(2*foldWindow), true); len(again) != 0 {
		t.Errorf("the same folds were given out twice: %v", again)
	}
}
