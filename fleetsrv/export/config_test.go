package export_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export"
)

func parse(t *testing.T, dir, text string) ([]export.Config, error) {
	t.Helper()
	return export.ParseConfig(json.RawMessage(text), dir, func(name string) string {
		return map[string]string{"SECRET": "a secret of some length", "SHORT": "short", "HOOK": "https://receiver.example/token"}[name]
	})
}

// TestConfigMistakes: each names the sink, the key, and what is valid.
func TestConfigMistakes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "no.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const hook = `"name":"w","type":"webhook","url":"https://r.example/x","secret_env":"SECRET"`
	for _, c := range []struct{ text, want string }{
		{`{"name":"x"}`, "sinks: it is to be a list of sinks"},
		{`["x"]`, "number 1: it is to be an object"},
		{`[{"type":"file","path":"x"}]`, `name "": it is to be of a-z`},
		{`[{"name":"../x","type":"file","path":"x"}]`, `name "../x": it is to be of a-z`},
		{`[{"name":"x"}]`, `there is no type ""; the types are file, webhook, kafka, opensearch, elasticsearch`},
		{`[{"name":"x","type":"file","path":"x"},{"name":"x","type":"file","path":"y"}]`, "number 2 (x): the name is taken"},
		{`[{"name":"x","type":"file"}]`, "path is missing"},
		{`[{"name":"x","type":"file","path":5}]`, "path is to be a text, not a number"},
		{`[{"name":"x","type":"file","path":"x","max_bytes":"1 MB"}]`, "max_bytes is to be a number, not a string"},
		{`[{"name":"x","type":"file","path":"x","max_bytes":5}]`, "max_bytes is 5; it is to be 4096 or more"},
		{`[{"name":"x","type":"file","path":"x","keep":-1}]`, "keep is -1"},
		{`[{"name":"x","type":"file","path":"x","kinds":["alerts"]}]`, `there is no kind "alerts"; the kinds are hit, result, outcome`},
		{`[{"name":"x","type":"file","path":"x","kinds":[]}]`, "kinds: the list is empty"},
		{`[{"name":"x","type":"file","path":"x","classes":["public"]}]`, `there is no data class "public"; the classes are inventory, personal, secret, content, network`},
		{`[{"name":"x","type":"file","path":"x","format":"xml"}]`, `there is no format "xml"; the formats are edr and ecs`},
		{`[{"name":"x","type":"file","path":"x","password":"hunter2"}]`, `there is no key "password"; the keys of a sink of type file are name, type`},
		{`[{"name":"w","type":"webhook","secret_env":"SECRET"}]`, "url is missing: give url, url_file or url_env"},
		{`[{` + hook + `,"url_env":"HOOK"}]`, "url is given twice"},
		{`[{"name":"w","type":"webhook","url":"ftp://r.example","secret_env":"SECRET"}]`, "url: it is to be like https://"},
		{`[{"name":"w","type":"webhook","url":"https://u:p@r.example","secret_env":"SECRET"}]`, "url: it holds a name or password"},
		{`[{"name":"w","type":"webhook","url":"https://r.example"}]`, "secret is missing: give secret_file"},
		{`[{"name":"w","type":"webhook","url":"https://r.example","secret_env":"UNSET"}]`, "the environment variable UNSET is not set or is empty"},
		{`[{"name":"w","type":"webhook","url":"https://r.example","secret_env":"SHORT"}]`, "secret: it has 5 bytes; give 16 or more"},
		{`[{"name":"w","type":"webhook","url":"https://r.example","secret_file":"none"}]`, "secret_file: "},
		{`[{"name":"w","type":"webhook","url":"https://r.example","secret_file":"empty"}]`, "is empty"},
		{`[{` + hook + `,"secret_file":"empty"}]`, "secret_file and secret_env are both given"},
		{`[{` + hook + `,"allow":["10.0.0.0/33"]}]`, `allow: "10.0.0.0/33" is no address range`},
		{`[{` + hook + `,"batch_size":501}]`, "batch_size is 501; it is to be between 1 and 500"},
		{`[{` + hook + `,"ca_file":"no.pem"}]`, "no.pem holds no certificate in PEM"},
		{`[{` + hook + `,"cert_file":"no.pem"}]`, "cert_file and key_file belong together"},
		{`[{"name":"k","type":"kafka"}]`, "brokers is missing"},
		{`[{"name":"k","type":"kafka","brokers":["kafka1"]}]`, `brokers: "kafka1" is to be like kafka1.example:9092`},
		{`[{"name":"k","type":"kafka","brokers":["k:9092"],"topic":"a b"}]`, `topic "a b"`},
		{`[{"name":"k","type":"kafka","brokers":["k:9092"],"max_message_bytes":1}]`, "max_message_bytes is 1"},
		{`[{"name":"k","type":"kafka","brokers":["k:9092"],"sasl":{"mechanism":"gssapi","user":"u","password_env":"SECRET"}}]`, `sasl.mechanism "gssapi": there is plain, scram-sha-256 and scram-sha-512`},
		{`[{"name":"k","type":"kafka","brokers":["k:9092"],"sasl":{"mechanism":"plain","password_env":"SECRET"}}]`, "sasl.user is missing"},
		{`[{"name":"k","type":"kafka","brokers":["k:9092"],"sasl":{"password":"x"}}]`, "sasl.mechanism, sasl.user, sasl.password_file, sasl.password_env"},
		{`[{"name":"o","type":"opensearch"}]`, "urls is missing"},
		{`[{"name":"o","type":"opensearch","urls":["http://u:p@s:9200"]}]`, "urls: one holds a name or password"},
		{`[{"name":"o","type":"opensearch","urls":["s:9200"]}]`, "urls: each is to be like"},
		{`[{"name":"o","type":"opensearch","urls":["http://s:9200"],"index":"UPPER"}]`, `index "UPPER"`},
		{`[{"name":"o","type":"opensearch","urls":["http://s:9200"],"period":"week"}]`, `period "week": there is day, month and none`},
		{`[{"name":"o","type":"opensearch","urls":["http://s:9200"],"format":"edr"}]`, `format "edr": opensearch takes ecs only`},
		{`[{"name":"o","type":"elasticsearch","urls":["http://s:9200"],"user":"u"}]`, "password is missing"},
		{`[{"name":"o","type":"elasticsearch","urls":["http://s:9200"],"password_env":"SECRET"}]`, "user is missing"},
		{`[{"name":"o","type":"elasticsearch","urls":["http://s:9200"],"user":"u","password_env":"SECRET","api_key_env":"SECRET"}]`, "give one"},
	} {
		_, err := parse(t, dir, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sinks: ") {
			t.Errorf("%s: %v, want …%s…", c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the password", c.text)
		}
	}
}

// TestConfigWhole: every type with every key.
func TestConfigWhole(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("a secret from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := parse(t, dir, fmt.Sprintf(`[
		{"name":"f","type":"file","path":"out.jsonl","max_bytes":5000,"keep":3,"kinds":["hit","hit"],"classes":["inventory"],"format":"ecs","dead_letter_file":"dead.jsonl"},
		{"name":"w","type":"webhook","url_env":"HOOK","secret_file":%q,"allow":["10.0.0.0/8","fd00::1"],"batch_size":7},
		{"name":"k","type":"kafka","brokers":["k1:9092","[::1]:9092"],"topic":"edr.fleet","tls":true,"max_message_bytes":2000000,
			"sasl":{"mechanism":"scram-sha-512","user":"u","password_env":"SECRET"}},
		{"name":"o","type":"opensearch","urls":["https://s1:9200","https://s2:9200/prefix"],"index":"fleet","period":"month","template":false,"user":"u","password_env":"SECRET"},
		{"name":"e","type":"elasticsearch","urls":["https://s1:9200"],"api_key_env":"SECRET"}]`, secret))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{dir + "/out.jsonl", "https://receiver.example", "k1:9092,[::1]:9092 edr.fleet.*", "https://s1:9200,https://s2:9200/prefix fleet-*", "https://s1:9200 edr-*"}
	for i, c := range list {
		s, err := c.Open(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("open %s: %v", c.Name, err)
		}
		if s.Target() != want[i] {
			t.Errorf("%s leads to %q, want %q", c.Name, s.Target(), want[i])
		}
		if err := s.Close(); err != nil {
			t.Errorf("close %s: %v", c.Name, err)
		}
	}
	f, w := list[0], list[1]
	if len(f.Kinds) != 1 || f.Classes != 1 || f.Format != "ecs" || f.DeadLetterFile != filepath.Join(dir, "dead.jsonl") {
		t.Errorf("file: %+v", f)
	}
	if len(w.Kinds) != 3 || w.Classes != 31 || w.Format != "edr" || w.DeadLetterFile != filepath.Join(dir, "dead-letters", "w.jsonl") {
		t.Errorf("webhook: %+v", w)
	}
	if list[3].Format != "ecs" {
		t.Errorf("opensearch: %+v", list[3])
	}
}

// FuzzConfig: no text makes ParseConfig panic, and what it takes has a name, a
// type and a way to open it.
func FuzzConfig(f *testing.F) {
	f.Add(`[{"name":"f","type":"file","path":"x"}]`)
	f.Add(`[{"name":"k","type":"kafka","brokers":["a:1"],"sasl":null}]`)
	f.Add(`[null,{}]`)
	f.Add(`[{"name":"o","type":"opensearch","urls":[""]}]`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := export.ParseConfig(json.RawMessage(text), t.TempDir(), func(string) string { return "0123456789abcdef" })
		for _, c := range list {
			if err == nil && (c.Name == "" || c.Type == "" || c.Open == nil || len(c.Kinds) == 0) {
				t.Fatalf("%s: %+v", text, c)
			}
		}
	})
}
