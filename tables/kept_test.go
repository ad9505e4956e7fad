package tables

import (
	"errors"
	"io"
	"testing"
)

type closing struct{ n *int }

func (c closing) Close() error { *c.n++; return nil }

func TestKept(t *testing.T) {
	var none *Kept
	if _, err := none.Get("a", nil); !errors.Is(err, ErrNotKept) || none.Close() != nil {
		t.Errorf("without: %v", err)
	}
	k := &Kept{}
	made, closed := 0, 0
	get := func() (io.Closer, error) { made++; return closing{&closed}, nil }
	for range 3 {
		if thing, err := k.Get("a", get); err != nil || thing == nil {
			t.Fatal(err)
		}
	}
	fail := func() (io.Closer, error) { made++; return nil, io.ErrUnexpectedEOF }
	for range 3 {
		if _, err := k.Get("b", fail); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	if made != 2 {
		t.Errorf("made %d times, want once each", made)
	}
	if err := k.Close(); err != nil || closed != 1 {
		t.Errorf("closed %d, %v", closed, err)
	}
	if _, err := k.Get("a", get); !errors.Is(err, ErrNotKept) {
		t.Errorf("after the end: %v", err)
	}
}
