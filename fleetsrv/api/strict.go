package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// strict reads one JSON value without unknown fields and with nothing after it.
func strict(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return errors.New("they are missing")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more follows after them")
	}
	return nil
}

// contextOfServer is for what goes on after the request that began it.
func contextOfServer() context.Context { return context.Background() }
