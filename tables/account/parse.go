package account

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// maxAccountFile bounds passwd and group: a million accounts fit.
const maxAccountFile = 64 << 20

// lines yields the lines of a file with their numbers, the first being 1.
func lines(data []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			if !yield(n, strings.TrimRight(line, "\r\n")) {
				return
			}
		}
	}
}

// skippable lines hold no account: empty ones, comments, and the markers by
// which NIS includes or excludes others (+name, -name).
func skippable(line string) bool {
	t := strings.TrimSpace(line)
	return t == "" || t[0] == '#' || t[0] == '+' || t[0] == '-'
}

// parseID reads a user or group ID: 32 bits without a sign.
func parseID(s string) (uint32, error) {
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		var ne *strconv.NumError
		if errors.As(err, &ne) {
			err = ne.Err
		}
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	return uint32(v), nil
}
