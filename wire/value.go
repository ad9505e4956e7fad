// Package wire is the plain messages between agent and server. Package seal
// wraps them; this package knows nothing of keys.
package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Value is one SQL value. In JSON it is null, a number, a text, or for a blob
// {"base64":"…"}. Numbers without fraction or exponent are integers; a real
// number always has one of the two, so that 1 and 1.0 stay apart.
type Value struct{ v any }

// ValueOf wraps nil, int64, float64, string or []byte; other integer types
// and bool become int64, and anything else its text.
func ValueOf(v any) Value {
	switch x := v.(type) {
	case nil, int64, float64, string, []byte:
		return Value{x}
	case Value:
		return x
	case bool:
		if x {
			return Value{int64(1)}
		}
		return Value{int64(0)}
	case int:
		return Value{int64(x)}
	case int32:
		return Value{int64(x)}
	case uint32:
		return Value{int64(x)}
	case uint64:
		return Value{int64(x)}
	}
	return Value{fmt.Sprint(v)}
}

// Any is nil, int64, float64, string or []byte.
func (v Value) Any() any { return v.v }

// String is the text that osquery prints: NULL as the empty text, a blob as
// base64.
func (v Value) String() string {
	switch x := v.v.(type) {
	case nil:
		return ""
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return formatReal(x)
	case []byte:
		return base64.StdEncoding.EncodeToString(x)
	case string:
		return x
	}
	return fmt.Sprint(v.v)
}

func formatReal(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	for _, c := range s {
		if c == '.' || c == 'e' || c == 'n' || c == 'N' || c == 'I' {
			return s
		}
	}
	return s + ".0"
}

type blob struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler. Not-a-number and infinities, which
// JSON lacks, become null.
func (v Value) MarshalJSON() ([]byte, error) {
	switch x := v.v.(type) {
	case nil:
		return []byte("null"), nil
	case int64:
		return strconv.AppendInt(nil, x, 10), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return []byte("null"), nil
		}
		return []byte(formatReal(x)), nil
	case []byte:
		return json.Marshal(blob{x})
	}
	return json.Marshal(v.v)
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("read a value: empty JSON")
	}
	switch c := b[0]; {
	case c == 'n':
		v.v = nil
		return nil
	case c == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		v.v = s
		return nil
	case c == '{':
		var x blob
		if err := json.Unmarshal(b, &x); err != nil {
			return err
		}
		if x.Base64 == nil {
			x.Base64 = []byte{}
		}
		v.v = x.Base64
		return nil
	case c == 't' || c == 'f':
		return fmt.Errorf("read a value: %s is no SQL value", b)
	case c == '[':
		return fmt.Errorf("read a value: a list is no SQL value")
	}
	if i, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		v.v = i
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("read a value: %w", err)
	}
	v.v = f
	return nil
}

// Row is the values of one row, in the order of its result's columns.
type Row []Value
