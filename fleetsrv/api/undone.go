package api

import (
	"bytes"
	"encoding/json"

	"github.com/aiedr/edr/wire"
)

// linkUndone notes, in a list of responses with the newest first, by which
// later one each was taken back. What a host gives as undo is only compared.
func linkUndone(list []responseView) {
	later := map[string]string{} // what was done, by whom
	for i := range list {
		r := &list[i]
		if len(r.Undo) > 0 {
			var u wire.Undo
			if json.Unmarshal(r.Undo, &u) == nil {
				if id, ok := later[actKey(r.Host, u.Action, u.Args)]; ok {
					r.UndoneBy = &id
				}
			}
		}
		if r.State == "done" && !r.DryRun {
			later[actKey(r.Host, r.Action, r.Args)] = r.ID
		}
	}
}

// actKey names an action with its arguments, however they are written.
func actKey(host, action string, args json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(args))
	d.UseNumber()
	var v map[string]any
	if d.Decode(&v) != nil {
		return ""
	}
	b, err := json.Marshal([]any{host, action, v})
	if err != nil {
		return ""
	}
	return string(b)
}
