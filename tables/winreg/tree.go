package winreg

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultName stands for the value of a key that has no name.
const DefaultName = "(Default)"

// ErrNoKey says that there is no such key, or no more.
var ErrNoKey = errors.New("no such registry key")

// Tree is a registry: the live one, or a made one in a test. Paths are whole,
// such as HKEY_LOCAL_MACHINE\SOFTWARE; case does not matter.
type Tree interface {
	// Subkeys lists the keys directly below a key. ErrNoKey says that the
	// key is not there.
	Subkeys(path string) ([]Subkey, error)
	// Values reads the values of a key. What could not be read of a single
	// value goes to warn, which may be nil.
	Values(path string, warn func(error)) ([]Value, error)
	// ModTime is when the key was last written to: a value of it, or which
	// keys are directly below it.
	ModTime(path string) (time.Time, error)
}

// Subkey is a key below another.
type Subkey struct {
	Name    string
	ModTime time.Time
}

// Value is one value of a key.
type Value struct {
	Name string // empty for the default value
	Type uint32
	Data []byte
}

// Label is the value's name as tables show it.
func (v Value) Label() string {
	if v.Name == "" {
		return DefaultName
	}
	return v.Name
}

// The keys at the top, as tables name them.
const (
	LocalMachine  = "HKEY_LOCAL_MACHINE"
	Users         = "HKEY_USERS"
	CurrentUser   = "HKEY_CURRENT_USER"
	ClassesRoot   = "HKEY_CLASSES_ROOT"
	CurrentConfig = "HKEY_CURRENT_CONFIG"
)

// Hives are the keys at the top that a scan without a constraint lists.
// HKEY_CURRENT_USER is not among them: it would be the agent's own user.
func Hives() []string { return []string{ClassesRoot, CurrentConfig, LocalMachine, Users} }

var shortNames = map[string]string{
	"HKLM": LocalMachine, "HKU": Users, "HKCU": CurrentUser, "HKCR": ClassesRoot, "HKCC": CurrentConfig,
}

// Split takes the top key off a path and gives it its full name; rest is empty
// for a top key itself. An error names the top keys that there are.
func Split(path string) (hive, rest string, err error) {
	hive, rest, _ = strings.Cut(strings.TrimRight(path, `\`), `\`)
	hive = strings.ToUpper(hive)
	if full, ok := shortNames[hive]; ok {
		hive = full
	}
	if hive != CurrentUser && !slices.Contains(Hives(), hive) {
		return "", "", fmt.Errorf("registry key %q: want one that begins with %s or %s, or HKLM, HKU, HKCR, HKCC or HKCU for short",
			path, strings.Join(Hives(), ", "), CurrentUser)
	}
	return hive, rest, nil
}

// Clean is the path with the top key's full name and without a backslash at
// its end.
func Clean(path string) (string, error) {
	hive, rest, err := Split(path)
	if err != nil || rest == "" {
		return hive, err
	}
	return hive + `\` + rest, nil
}

// Join puts a name below a path.
func Join(path, name string) string { return path + `\` + name }

// ProfileUsers are the names directly below HKEY_USERS that are users of their
// own: not the classes that Windows keeps beside each.
func ProfileUsers(t Tree) ([]string, error) {
	subkeys, err := t.Subkeys(Users)
	var out []string
	for _, s := range subkeys {
		if !strings.HasSuffix(strings.ToLower(s.Name), "_classes") {
			out = append(out, s.Name)
		}
	}
	return out, err
}
