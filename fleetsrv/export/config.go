package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// Config is one configured sink, checked.
type Config struct {
	Name  string
	Type  string
	Kinds []wire.Kind // those that are sent
	// Classes are the data classes, as bits, that a result may have to be sent.
	Classes int64
	Format  string // FormatEDR or FormatECS
	// DeadLetterFile takes what the sink refuses for good.
	DeadLetterFile string
	// Open makes the sink; it reaches for nothing outside yet.
	Open func(log *slog.Logger) (Sink, error)
}

// wants says whether a document is to be sent.
func (c *Config) wants(d *store.ExportDocument) bool {
	return slices.Contains(c.Kinds, d.Kind) && (d.Row == nil || d.Row.Classes&^c.Classes == 0)
}

// common are the keys that every sink has.
type common struct {
	// Name of the sink: its place in the journal is kept by it.
	Name string `json:"name"`
	Type string `json:"type"`
	// Kinds that are sent: hit, result, outcome. Without it all.
	Kinds []string `json:"kinds"`
	// Classes of data that a result may have; without it all that scheduled
	// queries may read.
	Classes *[]string `json:"classes"`
	// Format is "edr" or "ecs".
	Format string `json:"format"`
	// DeadLetterFile, by default dead-letters/NAME.jsonl in the data folder.
	DeadLetterFile string `json:"dead_letter_file"`
}

func (c *common) shared() *common { return c }

// typed is the configuration of a sink of one type.
type typed interface {
	shared() *common
	check(*environment) (func(*slog.Logger) (Sink, error), error)
}

// sinkType is one entry of the list of types.
type sinkType struct {
	name   string
	make   func() typed
	format string // when none is given
}

func sinkTypes() []sinkType {
	return []sinkType{
		{"file", func() typed { return new(fileConfig) }, FormatEDR},
		{"webhook", func() typed { return new(webhookConfig) }, FormatEDR},
		{"kafka", func() typed { return new(kafkaConfig) }, FormatEDR},
		{"opensearch", func() typed { return new(searchConfig) }, FormatECS},
		{"elasticsearch", func() typed { return new(searchConfig) }, FormatECS},
	}
}

// environment is what a configuration refers to.
type environment struct {
	data   string
	getenv func(string) string
}

// file is a path as it was given, or in the data folder where it is relative.
func (e *environment) file(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(e.data, path)
}

// ParseConfig reads the list of sinks of a configuration file. data is the
// server's data folder, on which relative paths stand; getenv answers
// environment variables.
func ParseConfig(text json.RawMessage, data string, getenv func(string) string) ([]Config, error) {
	env := &environment{data, getenv}
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, errors.New("sinks: it is to be a list of sinks, each an object with name, type and the keys of its type")
	}
	seen := map[string]bool{}
	var out []Config
	for i, raw := range list {
		c, err := parseSink(raw, env)
		where := fmt.Sprintf("sinks: number %d", i+1)
		if c.Name != "" {
			where += fmt.Sprintf(" (%s)", c.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("%s: the name is taken by another sink; each has one of its own", where)
		}
		seen[c.Name] = true
		out = append(out, c)
	}
	return out, nil
}

var sinkName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func parseSink(raw json.RawMessage, env *environment) (Config, error) {
	var head struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return Config{}, errors.New("it is to be an object with texts for name and type")
	}
	out := Config{Name: head.Name, Type: head.Type}
	if !sinkName.MatchString(head.Name) {
		return Config{}, fmt.Errorf("name %q: it is to be of a-z, 0-9, _ and -, 63 at most, and to begin with a letter or digit", head.Name)
	}
	types := sinkTypes()
	n := slices.IndexFunc(types, func(t sinkType) bool { return t.name == head.Type })
	if n < 0 {
		var names []string
		for _, t := range types {
			names = append(names, t.name)
		}
		return out, fmt.Errorf("there is no type %q; the types are %s", head.Type, strings.Join(names, ", "))
	}
	t := types[n].make()
	if err := strictly(raw, t, head.Type); err != nil {
		return out, err
	}
	c := t.shared()
	var err error
	if out.Kinds, err = parseKinds(c.Kinds); err != nil {
		return out, err
	}
	classes := auth.Classes()
	if c.Classes != nil {
		classes = *c.Classes
	}
	if err := auth.CheckClasses(classes); err != nil {
		return out, fmt.Errorf("classes: %w", err)
	}
	out.Classes = auth.Mask(classes)
	switch out.Format = c.Format; {
	case out.Format == "":
		out.Format = types[n].format
	case out.Format != FormatEDR && out.Format != FormatECS:
		return out, fmt.Errorf("there is no format %q; the formats are %s and %s", c.Format, FormatEDR, FormatECS)
	case types[n].format == FormatECS && out.Format != FormatECS:
		return out, fmt.Errorf("format %q: %s takes %s only", c.Format, head.Type, FormatECS)
	}
	out.DeadLetterFile = filepath.Join(env.data, "dead-letters", out.Name+".jsonl")
	if c.DeadLetterFile != "" {
		out.DeadLetterFile = env.file(c.DeadLetterFile)
	}
	out.Open, err = t.check(env)
	return out, err
}

func parseKinds(names []string) ([]wire.Kind, error) {
	if names == nil {
		return Kinds(), nil
	}
	var out []wire.Kind
	for _, n := range names {
		k := wire.Kind(n)
		if !slices.Contains(Kinds(), k) {
			return nil, fmt.Errorf("kinds: there is no kind %q; the kinds are %s", n, joinKinds(Kinds()))
		}
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("kinds: the list is empty; leave it out, or name some of %s", joinKinds(Kinds()))
	}
	return out, nil
}

func joinKinds(kinds []wire.Kind) string {
	var out []string
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return strings.Join(out, ", ")
}

// strictly reads an object of which every key is known.
func strictly(raw json.RawMessage, into any, what string) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var t *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &t):
		return fmt.Errorf("%s is to be a %s, not a %s", t.Field, typeName(t.Type), t.Value)
	}
	if _, key, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return fmt.Errorf("there is no key %s; the keys of a sink of type %s are %s", key, what, strings.Join(keysOf(reflect.TypeOf(into), ""), ", "))
	}
	return err
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	case reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return typeName(t.Elem())
	}
	return "number"
}

// keysOf lists the keys of a configuration, those of an object in it with
// its name before them.
func keysOf(t reflect.Type, before string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || f.Anonymous {
			continue
		}
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct {
			out = append(out, keysOf(ft, before+name+".")...)
			continue
		}
		out = append(out, before+name)
	}
	return out
}

// mostSecret bounds a secret's file.
const mostSecret = 64 << 10

// secret reads a secret by reference: from a file, or from an environment
// variable. It never stands in the configuration itself.
func (e *environment) secret(key, file, variable string, needed bool) (string, error) {
	switch {
	case file != "" && variable != "":
		return "", fmt.Errorf("%s_file and %s_env are both given; give one", key, key)
	case file != "":
		path := e.file(file)
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("%s_file: %w", key, err)
		}
		if !info.Mode().IsRegular() || info.Size() > mostSecret {
			return "", fmt.Errorf("%s_file: %s is no ordinary file of %d bytes or less", key, path, mostSecret)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("%s_file: %w", key, err)
		}
		s := strings.TrimRight(string(text), "\r\n")
		if s == "" {
			return "", fmt.Errorf("%s_file: %s is empty", key, path)
		}
		return s, nil
	case variable != "":
		s := e.getenv(variable)
		if s == "" {
			return "", fmt.Errorf("%s_env: the environment variable %s is not set or is empty", key, variable)
		}
		return s, nil
	case needed:
		return "", fmt.Errorf("%s is missing: give %s_file, a file that holds it, or %s_env, an environment variable", key, key, key)
	}
	return "", nil
}
