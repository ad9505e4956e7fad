package main

import "testing"

func TestNextCommand(t *testing.T) {
	for _, c := range []struct {
		r    response
		want string
	}{
		{response{State: "planned", Action: "quarantine_file", Args: []byte(`{"sha256":"9f","path":"/tmp/a b","inode":9007199254740993}`)},
			`edrctl respond -host web-1 quarantine_file inode=9007199254740993 'path=/tmp/a b' sha256=9f`},
		{response{State: "done", Action: "quarantine_file", Undo: &act{"restore_file", []byte(`{"id":"x"}`)}}, `edrctl respond -host web-1 restore_file id=x`},
		{response{State: "done", Action: "terminate_process", Args: []byte(`{"pid":1}`)}, ""},
		// What a host says must not run in the operator's shell.
		{response{State: "planned", Action: "quarantine_file", Args: []byte(`{"path":"/tmp/'; rm -rf ~; '"}`)},
			`edrctl respond -host web-1 quarantine_file 'path=/tmp/'\''; rm -rf ~; '\'''`},
		{response{State: "done", Undo: &act{"$(id)", []byte(`{"a":"b"}`)}}, `edrctl respond -host web-1 '$(id)' a=b`},
		{response{State: "planned", Action: "quarantine_file", Args: []byte(`{"path":"/tmp/x\ny"}`)}, ""},
		{response{State: "planned", Action: "quarantine_file", Args: []byte(`[]`)}, ""},
	} {
		if got := c.r.next("web-1"); got != c.want {
			t.Errorf("after %+v: %q, want %q", c.r, got, c.want)
		}
	}
}
