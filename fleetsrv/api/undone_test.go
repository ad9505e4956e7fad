package api

import (
	"encoding/json"
	"testing"
)

func TestLinkUndone(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	block := raw(`{"remote_address":"192.0.2.1","remote_port":443}`)
	undo := raw(`{"action":"unblock_connection","args":{"remote_port":443,"remote_address":"192.0.2.1"}}`)
	list := []responseView{
		{ID: "again", Host: "h", Action: "block_connection", Args: block, State: "done", Undo: undo},
		{ID: "undone", Host: "h", Action: "unblock_connection", Args: block, State: "done"},
		{ID: "failed", Host: "h", Action: "unblock_connection", Args: raw(`{"remote_address":"192.0.2.2"}`), State: "failed"},
		{ID: "elsewhere", Host: "other", Action: "block_connection", Args: block, State: "done", Undo: undo},
		{ID: "first", Host: "h", Action: "block_connection", Args: block, State: "done", Undo: undo},
		{ID: "second", Host: "h", Action: "block_connection", State: "done", Undo: raw(`{"action":"unblock_connection","args":{"remote_address":"192.0.2.2"}}`)},
		{ID: "hostile", Host: "h", Action: "block_connection", State: "done", Undo: raw(`[]`)},
	}
	linkUndone(list)
	for _, r := range list {
		got := ""
		if r.UndoneBy != nil {
			got = *r.UndoneBy
		}
		if want := map[string]string{"first": "undone"}[r.ID]; got != want {
			t.Errorf("%s was undone by %q, want %q", r.ID, got, want)
		}
	}
}
