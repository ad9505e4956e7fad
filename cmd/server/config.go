package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// settings are what flags and the configuration file say; the flags win.
type settings struct {
	Addr       string `json:"addr"`
	DB         string `json:"db_file"`
	Cert       string `json:"cert_file"`
	Key        string `json:"key_file"`
	PrivateKey string `json:"private_key_file"`
	Debug      bool   `json:"debug"`
	Data       string `json:"data"`
	URL        string `json:"url"`
	// Sinks are where hits and results flow to; in the file only.
	Sinks json.RawMessage `json:"sinks"`
}

var settingKeys = []string{"addr", "db_file", "cert_file", "key_file", "private_key_file", "debug", "data", "url", "sinks"}

// flagOf names the flag of a key, for errors; sinks has none.
var flagOf = map[string]string{"addr": "addr", "db_file": "db", "cert_file": "cert", "key_file": "key",
	"private_key_file": "privkey", "debug": "debug", "data": "data", "url": "url", "sinks": ""}

// newFlags makes a flag set whose flags fill s.
func (e *env) newFlags(name string, s *settings, config *string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(e.stderr)
	fs.StringVar(&s.Addr, "addr", ":8443", "address to listen on")
	fs.StringVar(&s.DB, "db", "", "database: an SQLite file (default edr.db in -data)")
	fs.StringVar(&s.Cert, "cert", "", "TLS certificate in PEM; with -key. Without, one is made by the CA of the key set")
	fs.StringVar(&s.Key, "key", "", "key of -cert in PEM")
	fs.StringVar(&s.PrivateKey, "privkey", "", "RSA private key in PEM that agents seal to, 2048 bits or more. Without, one is made")
	fs.BoolVar(&s.Debug, "debug", false, "log more")
	fs.StringVar(&s.Data, "data", "data", "folder of what the server keeps: keys, database, local content")
	fs.StringVar(&s.URL, "url", "", "how agents and browsers reach this server, such as https://edr.example:8443 (default from -addr)")
	fs.StringVar(config, "config", "", "JSON file with the same settings: "+strings.Join(settingKeys, " "))
	return fs
}

// parse reads flags, also behind arguments, and the configuration file. It
// answers the arguments that are no flags.
func (e *env) parse(fs *flag.FlagSet, s *settings, config *string, args []string) ([]string, error) {
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usagef("%w", err)
		}
		if fs.NArg() == 0 {
			break
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
	if *config != "" {
		given := map[string]bool{}
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if err := s.readFile(*config, given); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(s.DB, "postgres://") || strings.HasPrefix(s.DB, "postgresql://") {
		return nil, errors.New("-db: PostgreSQL is not built yet; give an SQLite file, or leave -db out")
	}
	if scheme, _, ok := strings.Cut(s.DB, "://"); ok {
		return nil, fmt.Errorf("-db %s://…: unknown kind of database; give an SQLite file, or leave -db out", scheme)
	}
	if s.DB == "" {
		s.DB = filepath.Join(s.Data, "edr.db")
	}
	return rest, nil
}

// readFile takes the settings of a file for which no flag was given.
func (s *settings) readFile(path string, given map[string]bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-config: read the configuration: %w; give a JSON file that exists", err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return fmt.Errorf("-config: read %s: %s; it is to be one JSON object", path, placed(text, err))
	}
	for k := range keys {
		if _, ok := flagOf[k]; !ok {
			return fmt.Errorf("-config: read %s: there is no setting %q; the settings are %s", path, k, strings.Join(settingKeys, ", "))
		}
		if given[flagOf[k]] {
			delete(keys, k)
		}
	}
	left, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("-config: read %s: %w", path, err)
	}
	if err := json.Unmarshal(left, s); err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) {
			return fmt.Errorf("-config: read %s: %s is to be a %s, not a %s", path, t.Field, t.Type, t.Value)
		}
		return fmt.Errorf("-config: read %s: %w", path, err)
	}
	return nil
}

// placed adds the line to an error of JSON.
func placed(text []byte, err error) string {
	var s *json.SyntaxError
	if !errors.As(err, &s) || s.Offset > int64(len(text)) {
		return err.Error()
	}
	return fmt.Sprintf("line %d: %v", 1+bytes.Count(text[:s.Offset], []byte("\n")), err)
}

// address is how the server is reached.
func (s *settings) address() (string, error) {
	if s.URL != "" {
		u, err := url.Parse(s.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return "", fmt.Errorf("-url %q: it is to be like https://edr.example:8443", s.URL)
		}
		return "https://" + u.Host, nil
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return "", fmt.Errorf("-addr %q: %w; it is to be like :8443 or 10.1.2.3:8443", s.Addr, err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		if host, err = os.Hostname(); err != nil || host == "" {
			host = "localhost"
		}
	}
	return "https://" + net.JoinHostPort(host, port), nil
}

func newLog(w io.Writer, debug bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
