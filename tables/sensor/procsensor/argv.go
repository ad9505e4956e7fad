package procsensor

import (
	"strings"
	"unicode/utf8"
)

// argvJSON writes arguments as a JSON array from which they can be had back
// byte for byte: a byte that is no UTF-8 becomes the lone surrogate \udcXX,
// which no valid text can contain.
func argvJSON(argv []string) string {
	n := 2
	for _, a := range argv {
		n += len(a) + 3
	}
	b := make([]byte, 0, n)
	b = append(b, '[')
	for i, a := range argv {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, a)
	}
	return string(append(b, ']'))
}

func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c == '\n':
			b = append(b, '\\', 'n')
			i++
		case c == '\t':
			b = append(b, '\\', 't')
			i++
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, '\\', 'u', 'd', 'c', hex[c>>4], hex[c&15])
			} else {
				b = append(b, s[i:i+size]...)
			}
			i += size
		}
	}
	return append(b, '"')
}

// cmdline joins arguments with spaces, as osquery does.
func cmdline(argv []string) string { return strings.Join(argv, " ") }
