// Package winregtest has a registry of a test's own making.
package winregtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiedr/edr/tables/winreg"
)

// Tree is a registry in memory.
type Tree struct {
	mu     sync.Mutex
	keys   map[string]*key // by path in lower case
	denied map[string]bool
	now    time.Time
	// Reads counts how often values were read.
	Reads int
}

type key struct {
	name   string
	at     time.Time
	values []winreg.Value
}

// New makes a registry with the keys named, and those above them.
func New(paths ...string) *Tree {
	t := &Tree{keys: map[string]*key{}, denied: map[string]bool{}, now: time.Unix(1_700_000_000, 0)}
	for _, hive := range winreg.Hives() {
		t.keys[strings.ToLower(hive)] = &key{name: hive, at: t.now}
	}
	for _, p := range paths {
		t.Add(p)
	}
	return t
}

// Tick lets time pass: what is written after it has another time.
func (t *Tree) Tick(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = t.now.Add(d)
}

// Now is the time of the registry's next change.
func (t *Tree) Now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// Add makes a key and those above it.
func (t *Tree) Add(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(path)
}

func (t *Tree) add(path string) *key {
	low := strings.ToLower(path)
	if k, ok := t.keys[low]; ok {
		return k
	}
	at := strings.LastIndexByte(path, '\\')
	t.add(path[:at]).at = t.now
	k := &key{name: path[at+1:], at: t.now}
	t.keys[low] = k
	return k
}

// Set sets a value, and makes its key where there is none.
func (t *Tree) Set(path, name string, typ uint32, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.add(path)
	k.at = t.now
	for i := range k.values {
		if strings.EqualFold(k.values[i].Name, name) {
			k.values[i].Type, k.values[i].Data = typ, data
			return
		}
	}
	k.values = append(k.values, winreg.Value{Name: name, Type: typ, Data: data})
}

// Unset removes a value.
func (t *Tree) Unset(path, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.add(path)
	k.at = t.now
	k.values = slices.DeleteFunc(k.values, func(v winreg.Value) bool { return strings.EqualFold(v.Name, name) })
}

// Remove removes a key and those below it.
func (t *Tree) Remove(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	low := strings.ToLower(path)
	for p := range t.keys {
		if p == low || strings.HasPrefix(p, low+`\`) {
			delete(t.keys, p)
		}
	}
	if parent, ok := t.keys[low[:strings.LastIndexByte(low, '\\')]]; ok {
		parent.at = t.now
	}
}

// Deny makes a key one that may not be read.
func (t *Tree) Deny(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied[strings.ToLower(path)] = true
}

func (t *Tree) get(path string) (*key, error) {
	low := strings.ToLower(path)
	if t.denied[low] {
		return nil, fmt.Errorf("open registry key %s: access denied", path)
	}
	if k, ok := t.keys[low]; ok {
		return k, nil
	}
	return nil, fmt.Errorf("open registry key %s: %w", path, winreg.ErrNoKey)
}

// Subkeys implements winreg.Tree.
func (t *Tree) Subkeys(path string) ([]winreg.Subkey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.get(path); err != nil {
		return nil, err
	}
	var out []winreg.Subkey
	low := strings.ToLower(path) + `\`
	for p, k := range t.keys {
		if rest, ok := strings.CutPrefix(p, low); ok && !strings.Contains(rest, `\`) {
			out = append(out, winreg.Subkey{Name: k.name, ModTime: k.at})
		}
	}
	slices.SortFunc(out, func(a, b winreg.Subkey) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Values implements winreg.Tree.
func (t *Tree) Values(path string, _ func(error)) ([]winreg.Value, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, err := t.get(path)
	if err != nil {
		return nil, err
	}
	t.Reads++
	return slices.Clone(k.values), nil
}

// ModTime implements winreg.Tree.
func (t *Tree) ModTime(path string) (time.Time, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k, err := t.get(path)
	if err != nil {
		return time.Time{}, err
	}
	return k.at, nil
}

// Text is a text as the registry holds it: UTF-16 with its end.
func Text(s string) []byte {
	var out []byte
	for _, r := range s + "\x00" {
		out = append(out, byte(r), byte(r>>8))
	}
	return out
}
