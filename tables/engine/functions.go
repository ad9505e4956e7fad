package engine

/*
#include <stdlib.h>
#include "engine.h"
*/
import "C"

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"
)

// function is an SQL function of ours: deterministic, and NULL for a NULL
// argument unless it says otherwise.
type function struct {
	name string
	args int // -1: any number
	call func(args []any) (any, error)
}

// functionList makes osquery's functions as osquery has them, apart from
// concat and concat_ws, which leave NULL out as osquery's do and are SQLite's own.
func functionList(p *patternCache) []*function {
	return []*function{
		{"regex_match", 3, notNull(p.match)},
		{"regex_split", 3, notNull(p.split)},
		{"split", 3, notNull(split)},
		{"inet_aton", 1, notNull(inetAton)},
		{"in_cidr_block", 2, notNull(inCIDR)},
		{"to_base64", 1, notNull(func(a []any) (any, error) { return base64.StdEncoding.EncodeToString(blob(a[0])), nil })},
		{"from_base64", 1, notNull(fromBase64)},
		{"conditional_to_base64", 1, notNull(conditionalBase64)},
		{"md5", 1, notNull(func(a []any) (any, error) { h := md5.Sum(blob(a[0])); return hex.EncodeToString(h[:]), nil })},
		{"sha1", 1, notNull(func(a []any) (any, error) { h := sha1.Sum(blob(a[0])); return hex.EncodeToString(h[:]), nil })},
		{"sha256", 1, notNull(func(a []any) (any, error) { h := sha256.Sum256(blob(a[0])); return hex.EncodeToString(h[:]), nil })},
		{"sqrt", 1, real1(math.Sqrt)},
		{"log", 1, real1(math.Log)},
		{"log10", 1, real1(math.Log10)},
		{"ceil", 1, real1(math.Ceil)},
		{"floor", 1, real1(math.Floor)},
		{"exp", 1, real1(math.Exp)},
		{"power", 2, notNull(power)},
	}
}

// builtin are SQLite's own functions that a statement may call. What is not
// here is refused: what loads code, tells of the process, or searches text
// indexes that there are none of.
var builtin = strings.Fields(`
	-> ->> abs avg ceil char coalesce concat concat_ws count cume_dist current_date current_time current_timestamp
	date datetime dense_rank first_value floor format glob group_concat hex if ifnull iif instr json json_array
	json_array_insert json_array_length json_error_position json_extract json_group_array json_group_object
	json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set json_type
	json_valid jsonb jsonb_array jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert
	jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set julianday lag last_value lead length like likelihood
	likely lower ltrim max min nth_value ntile nullif octet_length percent_rank printf quote random randomblob rank replace round row_number rtrim sign sqlite_source_id sqlite_version strftime string_agg substr substring subtype sum time timediff total trim typeof unhex unicode
	unistr unistr_quote unixepoch unlikely upper zeroblob`)

func (e *Engine) functionAllowed(name string) bool {
	name = strings.ToLower(name)
	for _, f := range e.functions {
		if f.name == name {
			return true
		}
	}
	for _, f := range builtin {
		if f == name {
			return true
		}
	}
	return false
}

func (c *conn) functions() C.int {
	for i, f := range c.e.functions {
		name := C.CString(f.name)
		rc := C.edr_function(c.c, name, C.int(f.args), C.uintptr_t(i))
		C.free(unsafe.Pointer(name))
		if rc != C.SQLITE_OK {
			return rc
		}
	}
	return C.SQLITE_OK
}

func notNull(f func([]any) (any, error)) func([]any) (any, error) {
	return func(args []any) (any, error) {
		for _, a := range args {
			if a == nil {
				return nil, nil
			}
		}
		return f(args)
	}
}

// text reads a value as SQLite casts it to TEXT.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'g', 15, 64)
		if !strings.ContainsAny(s, ".eIN") {
			s += ".0"
		}
		return s
	}
	return ""
}

func blob(v any) []byte {
	if b, ok := v.([]byte); ok {
		return b
	}
	return []byte(text(v))
}

// number reads a value as SQLite casts it to REAL; ok is false for what is no number.
func number(v any) (f float64, ok bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil
	}
	return 0, false
}

// index reads the last argument of the functions that choose a part. A part
// that is not there is NULL.
func index(v any, n int) (int, bool) {
	f, _ := number(v)
	if f < 0 || f >= float64(n) {
		return 0, false
	}
	return int(f), true
}

// split(text, tokens, index) cuts at each of the bytes of tokens, leaves out
// empty parts, and trims the others.
func split(a []any) (any, error) {
	tokens := text(a[1])
	if tokens == "" {
		return nil, errors.New("the second argument names no character to split at")
	}
	parts := strings.FieldsFunc(text(a[0]), func(r rune) bool { return strings.ContainsRune(tokens, r) })
	i, ok := index(a[2], len(parts))
	if !ok {
		return nil, nil
	}
	return strings.TrimSpace(parts[i]), nil
}

func inetAton(a []any) (any, error) {
	ip, err := netip.ParseAddr(text(a[0]))
	if err != nil || !ip.Is4() {
		return nil, nil
	}
	b := ip.As4()
	return int64(binary.BigEndian.Uint32(b[:])), nil
}

// inCIDR(block, address) says whether the address lies in the block.
func inCIDR(a []any) (any, error) {
	block, err := netip.ParsePrefix(text(a[0]))
	if err != nil {
		return nil, fmt.Errorf("%q is no CIDR block, such as 10.0.0.0/8", text(a[0]))
	}
	ip, err := netip.ParseAddr(text(a[1]))
	if err != nil {
		return nil, fmt.Errorf("%q is no IP address", text(a[1]))
	}
	if block.Contains(ip.WithZone("")) {
		return int64(1), nil
	}
	return int64(0), nil
}

func fromBase64(a []any) (any, error) {
	s := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == ' ' {
			return -1
		}
		return r
	}, strings.TrimRight(text(a[0]), "="))
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return "", nil // as osquery: what is not base64 decodes to nothing
	}
	return string(b), nil
}

func conditionalBase64(a []any) (any, error) {
	b := blob(a[0])
	printable := bytes.IndexFunc(b, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
	if printable {
		return string(b), nil
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// real1 makes a function of one number; what has no answer is NULL.
func real1(f func(float64) float64) func([]any) (any, error) {
	return func(a []any) (any, error) {
		x, ok := number(a[0])
		if !ok {
			return nil, nil
		}
		return finite(f(x)), nil
	}
}

func power(a []any) (any, error) {
	x, ok := number(a[0])
	y, ok2 := number(a[1])
	if !ok || !ok2 {
		return nil, nil
	}
	return finite(math.Pow(x, y)), nil
}

func finite(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return f
}
