package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aiedr/edr/wire"
)

// letter is a document that a sink will never take.
type letter struct {
	doc Document
	err error
}

// deadLetters keeps such documents as JSON lines: what was refused, when and
// why, so that a person can mend the receiver and send them by hand.
type deadLetters struct{ path string }

type deadLetter struct {
	Time     time.Time       `json:"time"`
	Sink     string          `json:"sink"`
	ID       string          `json:"id"`
	Kind     wire.Kind       `json:"kind"`
	Host     string          `json:"host"`
	Error    string          `json:"error"`
	Document json.RawMessage `json:"document,omitempty"`
}

// write adds letters, and returns when they are on the disk.
func (d *deadLetters) write(now time.Time, sink string, letters []letter) (err error) {
	if len(letters) == 0 {
		return nil
	}
	var text []byte
	for _, l := range letters {
		line, err := json.Marshal(deadLetter{now.UTC(), sink, l.doc.ID, l.doc.Kind, l.doc.Host, l.err.Error(), l.doc.Body})
		if err != nil {
			return fmt.Errorf("write the dead letter of %s: %w", l.doc.ID, err)
		}
		text = append(append(text, line...), '\n')
	}
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return fmt.Errorf("make the folder of dead letters: %w", err)
	}
	f, err := os.OpenFile(d.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the dead-letter file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("write the dead-letter file: %w; make room, or set dead_letter_file elsewhere", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the dead-letter file: %w", err)
	}
	return nil
}
