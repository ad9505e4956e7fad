package evidence

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/winreg"
)

// subkeyType stands in the column type for a key below the key.
const subkeyType = "subkey"

// liveRegistry reads the registry of the running machine: what the table
// answers without evidence.
func liveRegistry(ctx context.Context, q *tables.Query) iter.Seq2[RegistryValue, error] {
	tree, err := winreg.Live()
	if err != nil || !q.Host.Root.Live() {
		return func(yield func(RegistryValue, error) bool) {
			yield(RegistryValue{}, fmt.Errorf("%w: registry needs a live Windows, or evidence = 'FILE or FOLDER' in the WHERE clause", tables.ErrNotSupported))
		}
	}
	return scanTree(ctx, q, tree)
}

// lookup is one key to read, named as the statement named it: SQLite compares
// key and path by case, the registry does not.
type lookup struct {
	key  string
	name string // only the value or subkey of this name; empty for all
	one  bool   // name is given, even if it is empty
}

// scanTree answers as osquery does: a key or path that is given, by = or by
// LIKE with % for one level and %% for all below, is read; without either, what
// is directly below the hives.
func scanTree(ctx context.Context, q *tables.Query, tree winreg.Tree) iter.Seq2[RegistryValue, error] {
	return func(yield func(RegistryValue, error) bool) {
		asked, err := lookups(ctx, q, tree)
		if err != nil {
			yield(RegistryValue{}, err)
			return
		}
		for _, l := range asked {
			if err := ctx.Err(); err != nil {
				yield(RegistryValue{}, err)
				return
			}
			if !readKey(q, tree, l, func(v RegistryValue) bool { return yield(v, nil) }) {
				return
			}
		}
	}
}

// lookups are the keys to read. Of several constraints the narrowest decides,
// and SQLite holds the rows to the others.
func lookups(ctx context.Context, q *tables.Query, tree winreg.Tree) ([]lookup, error) {
	var out []lookup
	if keys, ok := q.Strings("key"); ok {
		for _, k := range keys {
			out = append(out, lookup{key: k})
		}
		return out, nil
	}
	if paths, ok := q.Strings("path"); ok {
		for _, p := range paths {
			// The name of a value may hold a backslash, a key's may not.
			for i := range len(p) {
				if p[i] == '\\' {
					out = append(out, lookup{key: p[:i], name: p[i+1:], one: true})
				}
			}
		}
		return out, nil
	}
	patterns, ok := q.Likes("key")
	if !ok {
		if patterns, ok = q.Likes("path"); ok {
			for i, p := range patterns {
				patterns[i] = parentPattern(p)
			}
		}
	}
	if !ok {
		patterns = winreg.Hives()
	}
	seen := map[string]bool{}
	for _, p := range patterns {
		keys, err := winreg.Glob(ctx, tree, p, q.Warn)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if low := strings.ToLower(k); !seen[low] {
				seen[low] = true
				out = append(out, lookup{key: k})
			}
		}
	}
	return out, nil
}

// parentPattern is the pattern of the keys that hold what a pattern of paths
// names. A %% reaches the key before it and all below.
func parentPattern(p string) string {
	if at := strings.Index(p, "%%"); at >= 0 {
		cut := strings.LastIndexByte(p[:at], '\\')
		if cut < 0 {
			return "%%"
		}
		// In the last part it is no more than a name at any depth: the key
		// itself is wanted as well as those below it.
		return p[:cut] + `%%`
	}
	cut := strings.LastIndexByte(p, '\\')
	if cut < 0 {
		return "" // no path is without a backslash
	}
	return p[:cut]
}

// readKey yields the subkeys and values of a key. A key that is not there has
// none; one that may not be read is a warning.
func readKey(q *tables.Query, tree winreg.Tree, l lookup, yield func(RegistryValue) bool) bool {
	key, err := winreg.Clean(l.key)
	if err != nil {
		return true // no hive of this name: no rows, as with any key that is not there
	}
	if strings.HasPrefix(key, winreg.CurrentUser) {
		q.Warn(errors.New(winreg.CurrentUser + ` is the user that the agent runs as: HKEY_USERS\SID has the others`))
	}
	row := func(name, typ, data string, at time.Time) bool {
		if l.one {
			if !strings.EqualFold(name, l.name) {
				return true
			}
			name = l.name
		}
		r := RegistryValue{Key: l.key, Path: winreg.Join(l.key, name), Name: name, Type: typ, Data: data}
		if !at.IsZero() {
			r.MTime = at.Unix()
		}
		return yield(r)
	}
	subkeys, err := tree.Subkeys(key)
	if err != nil && !errors.Is(err, winreg.ErrNoKey) {
		q.Warn(err)
	}
	for _, s := range subkeys {
		if !row(s.Name, subkeyType, "", s.ModTime) {
			return false
		}
	}
	values, err := tree.Values(key, q.Warn)
	if err != nil {
		if !errors.Is(err, winreg.ErrNoKey) {
			q.Warn(err)
		}
		return true
	}
	at := time.Time{}
	if len(values) > 0 && q.Wants("mtime") {
		if at, err = tree.ModTime(key); err != nil && !errors.Is(err, winreg.ErrNoKey) {
			q.Warn(err)
		}
	}
	for _, v := range values {
		if !row(v.Label(), winreg.TypeName(v.Type), winreg.Text(v.Type, v.Data), at) {
			return false
		}
	}
	return true
}
