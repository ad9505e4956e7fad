package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckArgs(t *testing.T) {
	sum := strings.Repeat("9f", 32)
	for _, c := range []struct {
		action, args string
		dry          bool
		want         string // the arguments for the host, or what the error says
	}{
		{"terminate_process", `{"pid":"7","start_time_ns":"18742158213144639"}`, false, `{"pid":7,"start_time_ns":18742158213144639}`},
		{"suspend_process", `{"pid":7,"start_time_ns":8}`, false, `{"pid":7,"start_time_ns":8}`},
		{"resume_process", `{"pid":7}`, false, "need pid and start_time_ns"},
		{"suspend_process", `{"pid":1,"start_time_ns":8}`, false, "init"},
		{"quarantine_file", `{"path":"/tmp/x"}`, true, `{"path":"/tmp/x"}`},
		{"quarantine_file", `{"path":"/tmp/x"}`, false, "need path, inode and sha256"},
		{"quarantine_file", `{"path":"/tmp/x","inode":"18446744073709551615","sha256":"` + sum + `","size":3}`, false,
			`{"path":"/tmp/x","inode":18446744073709551615,"sha256":"` + sum + `","size":3}`},
		{"quarantine_file", `{"path":"tmp/x"}`, true, "absolute"},
		{"quarantine_file", `{"path":"/tmp/x","sha256":"zz"}`, true, "64 hexadecimal digits"},
		{"quarantine_file", `{"path":"/tmp/x","inode":-1}`, true, "no whole number from 0 on"},
		{"quarantine_file", `{"path":"/tmp/x","force":true}`, true, "unknown field"},
		{"restore_file", `{"id":"20260102T030405Z-0123456789abcdef"}`, false, `{"id":"20260102T030405Z-0123456789abcdef"}`},
		{"restore_file", `{"id":"../x"}`, false, "id must be"},
		{"block_connection", `{"remote_address":"2001:db8::1","remote_port":"443","protocol":"tcp","duration_s":"60"}`, false,
			`{"remote_address":"2001:db8::1","remote_port":443,"protocol":"tcp","duration_s":60}`},
		{"block_connection", `{"remote_address":"evil.example"}`, false, "IPv4 or IPv6 address"},
		{"block_connection", `{"remote_address":"::ffff:127.0.0.1"}`, false, "no other machine's"},
		{"block_connection", `{"remote_address":"192.0.2.1","remote_port":65536}`, false, "at most 65535"},
		{"block_connection", `{"remote_address":"192.0.2.1","protocol":"icmp"}`, false, "tcp, udp or any"},
		{"block_connection", `{"remote_address":"192.0.2.1","direction":"up"}`, false, "out, in or both"},
		{"block_connection", `{"remote_address":"192.0.2.1","pid":5}`, false, "start_time_ns"},
		{"block_connection", `{"remote_address":"192.0.2.1","duration_s":99999999}`, false, "duration_s"},
		{"unblock_connection", `{"remote_address":"192.0.2.1","remote_port":53,"protocol":"udp"}`, false,
			`{"remote_address":"192.0.2.1","remote_port":53,"protocol":"udp"}`},
		{"unblock_connection", `{"remote_address":"192.0.2.1","duration_s":5}`, false, "unknown field"},
		{"format_disk", `{}`, false, "there are block_connection, quarantine_file"},
		{"quarantine_file", ``, false, "missing"},
	} {
		out, err := checkArgs(c.action, json.RawMessage(c.args), c.dry)
		got := string(out)
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != c.want || err != nil && !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %s, want %s", c.action, c.args, got, c.want)
		}
	}
}
