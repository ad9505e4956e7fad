package regsensor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aiedr/edr/tables/winreg"
)

// maxText bounds what is remembered of one value. Of a longer one the
// beginning is kept with a hash of the whole, so that a change still shows.
const maxText = 4 << 10

// settled is for how long a key must not have been written to before its time
// proves that nothing changed: clocks of keys have a granularity.
const settled = time.Second

// value is a value as it was seen.
type value struct {
	name, typ, text string
}

// keyState is a key as it was seen.
type keyState struct {
	path   string
	level  int // below the place
	at     time.Time
	seen   time.Time
	values map[string]value // by name in lower case
}

// snapshot is what a place held: its keys by path in lower case.
type snapshot map[string]*keyState

// looker reads places and remembers what it could not read.
type looker struct {
	tree    winreg.Tree
	now     func() time.Time
	max     int // keys of all places
	held    int // keys of the other places
	refused map[string]string
	full    bool
}

// look reads a place. What before holds of a key that has not been written to
// since is taken over unread; what cannot be read stays as it was.
func (l *looker) look(p place, before snapshot) snapshot {
	next := make(snapshot, len(before))
	at, err := l.tree.ModTime(p.key)
	if err != nil {
		if errors.Is(err, winreg.ErrNoKey) {
			delete(l.refused, p.key)
			return next
		}
		l.refuse(p.key, err)
		return before
	}
	l.key(p, p.key, 0, at, before, next)
	return next
}

func (l *looker) refuse(key string, err error) { l.refused[key] = err.Error() }

func (l *looker) key(p place, path string, level int, at time.Time, before, next snapshot) {
	low := strings.ToLower(path)
	was := before[low]
	if l.held+len(next) >= l.max {
		l.full = true
		if was != nil { // not looked at is not gone
			next[low] = was
			keep(low, before, next)
		}
		return
	}
	k := &keyState{path: path, level: level, at: at, seen: l.now()}
	if was != nil && was.at.Equal(at) && was.seen.Sub(at) > settled {
		k.values = was.values
	} else if values, err := l.values(path); err == nil {
		k.values = values
		delete(l.refused, path)
	} else if errors.Is(err, winreg.ErrNoKey) {
		return
	} else {
		l.refuse(path, err)
		if was != nil {
			k.values, k.at = was.values, was.at
		}
	}
	next[low] = k
	if level == p.depth {
		return
	}
	subkeys, err := l.tree.Subkeys(path)
	if err != nil {
		if !errors.Is(err, winreg.ErrNoKey) {
			l.refuse(path, err)
			keep(low, before, next)
		}
		return
	}
	for _, s := range subkeys {
		l.key(p, winreg.Join(path, s.Name), level+1, s.ModTime, before, next)
	}
}

// keep takes over what was known below a key that cannot be listed now.
func keep(low string, before, next snapshot) {
	for k, state := range before {
		if strings.HasPrefix(k, low+`\`) {
			next[k] = state
		}
	}
}

func (l *looker) values(path string) (map[string]value, error) {
	var bad []error
	values, err := l.tree.Values(path, func(err error) { bad = append(bad, err) })
	if err != nil {
		return nil, err
	}
	if len(bad) > 0 {
		return nil, bad[0]
	}
	if len(values) == 0 {
		return nil, nil
	}
	out := make(map[string]value, len(values))
	for _, v := range values {
		out[strings.ToLower(v.Name)] = value{v.Label(), winreg.TypeName(v.Type), clip(winreg.Text(v.Type, v.Data))}
	}
	return out, nil
}

// clip shortens a text so that different ones stay different.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:maxText], "") + fmt.Sprintf("… (%d bytes, sha256 %s)", len(s), hex.EncodeToString(sum[:]))
}
