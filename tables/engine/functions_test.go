package engine

import (
	"reflect"
	"strings"
	"testing"
)

func TestFunctions(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct {
		sql  string
		want any
	}{
		{`regex_match('/usr/bin/python3.11', '([a-z]+)([0-9.]+)$', 0)`, "python3.11"},
		{`regex_match('/usr/bin/python3.11', '([a-z]+)([0-9.]+)$', 1)`, "python"},
		{`regex_match('/usr/bin/python3.11', '([a-z]+)([0-9.]+)$', 2)`, "3.11"},
		{`regex_match('abc', 'b', 1)`, nil},
		{`regex_match('abc', 'x', 0)`, nil},
		{`regex_match('abc', 'b', -1)`, nil},
		{`regex_match('abc', '(x)?b', 1)`, ""},
		{`regex_match('ABC', '(?i)b', 0)`, "B"},
		{`regex_match(12345, '3', 0)`, "3"},
		{`regex_match(NULL, 'x', 0)`, nil},
		{`regex_match('x', NULL, 0)`, nil},
		{`regex_match('x', 'x', NULL)`, nil},
		{`regex_split('a1b22c', '[0-9]+', 1)`, "b"},
		{`regex_split('192.168.0.1', '\.0', 0)`, "192.168"},
		{`regex_split('abc', 'x', 0)`, "abc"},
		{`regex_split('abc', 'x', 1)`, nil},
		{`regex_split('a,,b', ',', 1)`, ""},
		{`split('192.168.0.1', '.', 1)`, "168"},
		{`split('192.168.0.1', '.0', 0)`, "192"},
		{`split('a, b ,c', ',', 1)`, "b"},
		{`split(',,a,,b', ',', 1)`, "b"},
		{`split('a:b', ',:', 1)`, "b"},
		{`split('a', ',', 1)`, nil},
		{`split('', ',', 0)`, nil},
		{`split('a', ',', -1)`, nil},
		{`split(NULL, ',', 0)`, nil},
		{`concat('a', NULL, 1, 'b')`, "a1b"},
		{`concat_ws('-', 'a', NULL, 'b')`, "a-b"},
		{`inet_aton('1.2.3.4')`, int64(16909060)},
		{`inet_aton('255.255.255.255')`, int64(4294967295)},
		{`inet_aton('::1')`, nil},
		{`inet_aton('nonsense')`, nil},
		{`in_cidr_block('10.0.0.0/8', '10.1.2.3')`, int64(1)},
		{`in_cidr_block('10.0.0.0/8', '11.1.2.3')`, int64(0)},
		{`in_cidr_block('fe80::/10', 'fe80::1%eth0')`, int64(1)},
		{`to_base64('hello')`, "aGVsbG8="},
		{`from_base64('aGVsbG8=')`, "hello"},
		{`from_base64('aGVsbG8')`, "hello"},
		{`from_base64('***')`, ""},
		{`conditional_to_base64('plain')`, "plain"},
		{`conditional_to_base64(char(1))`, "AQ=="},
		{`md5('abc')`, "900150983cd24fb0d6963f7d28e17f72"},
		{`sha1('abc')`, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{`sha256('abc')`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{`sha256(x'00')`, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{`md5(NULL)`, nil},
		{`sqrt(16)`, 4.0},
		{`sqrt(-1)`, nil},
		{`ceil(1.2)`, 2.0},
		{`floor('1.8')`, 1.0},
		{`power(2, 10)`, 1024.0},
		{`log10(1000)`, 3.0},
		{`sqrt('x')`, nil},
		{`length(regex_match('a' || char(0) || 'b', '.*', 0))`, int64(1)},
		{`hex(regex_match('a' || char(0) || 'b', '(?s).*', 0))`, "610062"},
	} {
		r := ask(t, e, "SELECT "+c.sql)
		if got := r.Rows[0][0]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", c.sql, got, c.want)
		}
	}
	for sql, says := range map[string]string{
		`regex_match('a', '(', 0)`:                                 "no RE2 expression",
		`regex_match('a', '(?=x)', 0)`:                             "lookaround",
		`regex_match('a', '` + strings.Repeat("a", 5000) + `', 0)`: "at most 4096",
		`regex_split('a', '', 0)`:                                  "empty",
		`split('a', '', 0)`:                                        "no character to split at",
		`in_cidr_block('10.0.0.0', '10.0.0.1')`:                    "no CIDR block",
		`in_cidr_block('10.0.0.0/8', 'x')`:                         "no IP address",
		`regex_match('a')`:                                         "wrong number of arguments",
	} {
		err := askErr(t, e, "SELECT "+sql)
		name, _, _ := strings.Cut(sql, "(")
		if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), name) {
			t.Errorf("%.60s: %v", sql, err)
		}
	}
}

// TestFunctionList holds the list of allowed functions to SQLite's own: a name
// in it that is not there is a slip, and one that is not in it is known here.
func TestFunctionList(t *testing.T) {
	e := newEngine(t)
	have := map[string]bool{}
	refused := map[string]bool{}
	for _, row := range ask(t, e, "SELECT DISTINCT name FROM pragma_function_list").Rows {
		name := row[0].(string)
		have[name] = true
		if !e.functionAllowed(name) {
			refused[name] = true
		}
	}
	for _, name := range builtin {
		if !have[name] {
			t.Errorf("%s is allowed and does not exist", name)
		}
	}
	for _, name := range strings.Fields(`changes fts3_tokenizer last_insert_rowid load_extension match matchinfo offsets
		optimize rtreecheck rtreedepth rtreenode snippet sqlite_compileoption_get sqlite_compileoption_used sqlite_log total_changes`) {
		delete(refused, name)
	}
	if len(refused) > 0 {
		t.Errorf("neither allowed nor known to be refused: %v", refused)
	}
}

func TestFunctionPanics(t *testing.T) {
	e := newEngine(t)
	e.functions = append(e.functions, &function{"boom", 0, func([]any) (any, error) { panic("boom") }})
	if err := askErr(t, e, "SELECT boom()"); !strings.Contains(err.Error(), "SQL function boom: internal error: boom") {
		t.Errorf("got %v", err)
	}
}
