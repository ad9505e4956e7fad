package winreg

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// maxData bounds what is read of one value. Windows itself advises against
// values of more than a megabyte.
const maxData = 16 << 20

// maxName is the longest name of a key, in UTF-16 units, with its end.
const maxName = 256

// live is the registry of this machine, of which a 64-bit agent sees the
// 64-bit view; what 32-bit programs see is below WOW6432Node.
type live struct{}

// Live is the registry of the running machine.
func Live() (Tree, error) { return live{}, nil }

var predefined = map[string]registry.Key{
	LocalMachine: registry.LOCAL_MACHINE, Users: registry.USERS, CurrentUser: registry.CURRENT_USER,
	ClassesRoot: registry.CLASSES_ROOT, CurrentConfig: registry.CURRENT_CONFIG,
}

// Open opens a key with access rights of package registry, such as
// registry.READ; the caller closes it. ErrNoKey says that it is not there.
func Open(path string, access uint32) (registry.Key, error) {
	hive, rest, err := Split(path)
	if err != nil {
		return 0, err
	}
	k, err := registry.OpenKey(predefined[hive], rest, access|registry.WOW64_64KEY)
	return k, told("open", path, err)
}

// told names the key in an error, and ErrNoKey where that is what it says.
func told(op, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, registry.ErrNotExist), errors.Is(err, windows.ERROR_PATH_NOT_FOUND),
		errors.Is(err, windows.ERROR_KEY_DELETED), errors.Is(err, windows.ERROR_BAD_PATHNAME):
		return fmt.Errorf("%s registry key %s: %w", op, path, ErrNoKey)
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return fmt.Errorf("%s registry key %s: %w; run the agent as SYSTEM or an administrator", op, path, err)
	}
	return fmt.Errorf("%s registry key %s: %w", op, path, err)
}

// Subkeys implements Tree.
func (live) Subkeys(path string) ([]Subkey, error) {
	k, err := Open(path, registry.ENUMERATE_SUB_KEYS)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	var out []Subkey
	var name [maxName]uint16
	for i := uint32(0); ; i++ {
		size := uint32(len(name))
		var at windows.Filetime
		err := windows.RegEnumKeyEx(windows.Handle(k), i, &name[0], &size, nil, nil, nil, &at)
		if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) {
			return out, nil
		}
		if err != nil {
			return out, told("list", path, err)
		}
		out = append(out, Subkey{Name: windows.UTF16ToString(name[:size]), ModTime: filetime(at)})
	}
}

// Values implements Tree.
func (live) Values(path string, warn func(error)) ([]Value, error) {
	k, err := Open(path, registry.QUERY_VALUE)
	if err != nil {
		return nil, err
	}
	defer k.Close()
	names, err := k.ReadValueNames(-1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, told("list the values of", path, err)
	}
	out := make([]Value, 0, len(names))
	buf := make([]byte, 1024)
	for _, name := range names {
		var n int
		var typ uint32
		for {
			n, typ, err = k.GetValue(name, buf)
			if !errors.Is(err, registry.ErrShortBuffer) || n <= len(buf) || n > maxData {
				break
			}
			buf = make([]byte, n)
		}
		switch {
		case errors.Is(err, registry.ErrNotExist):
			continue // it went away meanwhile
		case err != nil:
			if warn != nil {
				warn(fmt.Errorf("read the value %s of registry key %s (%d bytes): %w", Value{Name: name}.Label(), path, n, err))
			}
			continue
		}
		out = append(out, Value{Name: name, Type: typ, Data: append([]byte(nil), buf[:n]...)})
	}
	return out, nil
}

// ModTime implements Tree.
func (live) ModTime(path string) (time.Time, error) {
	k, err := Open(path, registry.QUERY_VALUE)
	if err != nil {
		return time.Time{}, err
	}
	defer k.Close()
	info, err := k.Stat()
	if err != nil {
		return time.Time{}, told("describe", path, err)
	}
	return info.ModTime(), nil
}

func filetime(f windows.Filetime) time.Time {
	if f.HighDateTime == 0 && f.LowDateTime == 0 {
		return time.Time{}
	}
	return time.Unix(0, f.Nanoseconds())
}
