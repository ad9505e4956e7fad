package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// act is an action with its arguments, as the server tells it.
type act struct {
	Action string          `json:"action"`
	Args   json.RawMessage `json:"args"`
}

// next is the command that does what a dry run planned, or undoes what was
// done; empty where there is none that a shell could be given. What it is made
// of comes from the host, so that everything in it is quoted.
func (r *response) next(host string) string {
	var a act
	switch {
	case r.State == "planned":
		a = act{r.Action, r.Args}
	case r.Undo != nil:
		a = *r.Undo
	default:
		return ""
	}
	var args map[string]json.RawMessage
	if json.Unmarshal(a.Args, &args) != nil || len(args) == 0 {
		return ""
	}
	words := []string{"edrctl", "respond", "-host", host, a.Action}
	for name, raw := range args {
		value := string(raw)
		var text string
		if json.Unmarshal(raw, &text) == nil {
			value = text
		}
		words = append(words, name+"="+value)
	}
	slices.Sort(words[5:])
	for i, w := range words {
		if strings.IndexFunc(w, harmful) >= 0 {
			return ""
		}
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote makes one word of a POSIX shell.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=,+@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// hint says the next command on standard error.
func (e *env) hint(r *response, host string) {
	cmd := r.next(host)
	switch {
	case cmd == "":
	case r.State == "planned":
		fmt.Fprintf(e.stderr, "edrctl: to do it: %s\n", cmd)
	default:
		fmt.Fprintf(e.stderr, "edrctl: to undo it: %s\n", cmd)
	}
}
