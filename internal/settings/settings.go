// Package settings reads a program's settings from flags and from a JSON file
// that takes the same under names of its own. Flags win over the file.
package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Parse parses args into fs, then reads the file named by the flag "config",
// if one is, and sets from it every flag that args did not. keys gives the
// name in the file of each flag that may stand there.
func Parse(fs *flag.FlagSet, args []string, keys map[string]string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: settings are given as -name=value (see -help)", fs.Arg(0))
	}
	file := fs.Lookup("config").Value.String()
	if file == "" {
		return nil
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("-config: %w", err)
	}
	vals, err := decode(b)
	if err != nil {
		return fmt.Errorf("-config %s:%w", file, err)
	}
	flagOf := map[string]string{}
	for name, key := range keys {
		flagOf[key] = name
	}
	for _, v := range vals {
		name, ok := flagOf[v.key]
		if !ok {
			return fmt.Errorf("-config %s:%d: unknown key %q; the keys are %s", file, v.line, v.key, strings.Join(sorted(flagOf), ", "))
		}
		if given[name] {
			continue
		}
		if err := fs.Set(name, v.text); err != nil {
			want := ""
			if f := fs.Lookup(name); f != nil {
				want = "; it takes " + strings.ReplaceAll(f.Usage, "`", "")
			}
			return fmt.Errorf("-config %s:%d: key %q: %q does not fit: %w%s", file, v.line, v.key, v.text, err, want)
		}
	}
	return nil
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

type value struct {
	key, text string
	line      int
}

// decode reads one JSON object of scalars and lists of texts. Its errors begin
// with the line number.
func decode(b []byte) ([]value, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	line := func() int { return 1 + bytes.Count(b[:min(int(d.InputOffset()), len(b))], []byte("\n")) }
	fail := func(err error) error {
		var syntax *json.SyntaxError
		n := line()
		if errors.As(err, &syntax) {
			n = 1 + bytes.Count(b[:min(int(syntax.Offset), len(b))], []byte("\n"))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%d: the file ends before the closing } (add it): %w", 1+bytes.Count(b, []byte("\n")), err)
		}
		return fmt.Errorf("%d: %w", n, err)
	}
	tok, err := d.Token()
	if err != nil {
		return nil, fail(err)
	}
	if tok != json.Delim('{') {
		return nil, fail(errors.New("the file must hold one JSON object"))
	}
	var out []value
	seen := map[string]bool{}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, fail(err)
		}
		key, n := k.(string), line()
		if seen[key] {
			return nil, fail(fmt.Errorf("key %q stands twice", key))
		}
		seen[key] = true
		var raw any
		if err := d.Decode(&raw); err != nil {
			return nil, fail(err)
		}
		text, err := textOf(raw)
		if err != nil {
			return nil, fail(fmt.Errorf("key %q: %w", key, err))
		}
		out = append(out, value{key, text, n})
	}
	if _, err := d.Token(); err != nil {
		return nil, fail(err)
	}
	if d.More() {
		return nil, fail(errors.New("text after the object"))
	}
	return out, nil
}

func textOf(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return fmt.Sprint(v), nil
	case json.Number:
		return v.String(), nil
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return "", fmt.Errorf("element %d is not a text", i+1)
			}
			parts[i] = s
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("want a text, a number, true, false or a list of texts")
}
