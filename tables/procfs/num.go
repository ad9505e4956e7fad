package procfs

import "errors"

// errNumber says that a number was expected.
var errNumber = errors.New("not a number")

// uintOf reads decimal digits to the end of b.
func uintOf(b []byte) (uint64, error) {
	if len(b) == 0 || len(b) > 20 {
		return 0, errNumber
	}
	var v uint64
	for _, c := range b {
		d := uint64(c) - '0'
		if d > 9 || v > (1<<64-1-d)/10 {
			return 0, errNumber
		}
		v = v*10 + d
	}
	return v, nil
}

// intOf is uintOf with a sign.
func intOf(b []byte) (int64, error) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	v, err := uintOf(b)
	if err != nil || v > 1<<63-1 {
		return 0, errNumber
	}
	if neg {
		return -int64(v), nil
	}
	return int64(v), nil
}

// field cuts the next word off b: what stands before a space, tab or newline.
func field(b []byte) (word, rest []byte) {
	i := 0
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	j := i
	for j < len(b) && !isSpace(b[j]) {
		j++
	}
	return b[i:j], b[j:]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
