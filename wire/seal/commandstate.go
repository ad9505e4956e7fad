package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

const maxNonces = 4096

// FileCommandState is the CommandState of a file.
type FileCommandState struct {
	path string

	mu    sync.Mutex
	saved commandFile
}

type commandFile struct {
	Serial uint64 `json:"serial"`
	// Nonces are those of commands that have not expired, with their expiry.
	Nonces map[string]time.Time `json:"nonces"`
	// Lost says that an earlier file could not be read. Until the server's
	// time is known no command is taken, afterwards only those issued since.
	Lost  bool      `json:"lost,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// OpenCommandState loads the state of a file. One that cannot be read is set
// aside and said; the error is then in lost, and the state is usable.
func OpenCommandState(path string, log *slog.Logger) (s *FileCommandState, lost error, err error) {
	s = &FileCommandState{path: path, saved: commandFile{Nonces: map[string]time.Time{}}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the command state: %w", err)
	}
	if e := json.Unmarshal(b, &s.saved); e == nil && s.saved.Nonces != nil {
		return s, nil, nil
	}
	aside, err := setAside(path, time.Now())
	if err != nil {
		return nil, nil, err
	}
	s.saved = commandFile{Nonces: map[string]time.Time{}, Lost: true}
	if err := s.save(); err != nil {
		return nil, nil, err
	}
	lost = fmt.Errorf("read %s: it is damaged and now %s: commands issued before the next session are refused", path, aside)
	log.Error("the command state was set aside", "error", lost)
	return s, lost, nil
}

// Serial is the highest serial taken.
func (s *FileCommandState) Serial() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved.Serial
}

// Learned tells the server's time, when a session was opened.
func (s *FileCommandState) Learned(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.saved.Lost {
		return nil
	}
	s.saved.Lost, s.saved.Since = false, now.UTC()
	return s.save()
}

// Take implements CommandState.
func (s *FileCommandState) Take(c wire.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved.Lost || c.Issued.Before(s.saved.Since) {
		return fmt.Errorf("take command %d: it was issued before the command state was lost: %w", c.Serial, ErrSerialFell)
	}
	seen := func(n string) bool { _, ok := s.saved.Nonces[n]; return ok }
	if err := takeCommand(s.saved.Serial, seen, c); err != nil {
		return err
	}
	former := s.saved
	next := commandFile{Serial: c.Serial, Since: former.Since, Nonces: map[string]time.Time{c.Nonce: c.Expires}}
	for n, until := range former.Nonces {
		// Issued is the server's time, so what expired before it is over.
		if until.After(c.Issued) && len(next.Nonces) < maxNonces {
			next.Nonces[n] = until
		}
	}
	s.saved = next
	if err := s.save(); err != nil {
		s.saved = former
		return err
	}
	return nil
}

func (s *FileCommandState) save() error {
	b, err := json.Marshal(s.saved)
	if err != nil {
		return fmt.Errorf("write the command state: %w", err)
	}
	return writeFile(s.path, b, 0o600)
}
