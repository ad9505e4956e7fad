package export

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestKeysAreDocumented: docs/sinks.md names every key of every type.
func TestKeysAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/sinks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range sinkTypes() {
		keys := keysOf(reflect.TypeOf(st.make()), "")
		if len(keys) < 7 {
			t.Errorf("%s has the keys %v", st.name, keys)
		}
		for _, key := range append(keys, st.name) {
			if !strings.Contains(string(b), "`"+key+"`") {
				t.Errorf("docs/sinks.md does not name %s of %s", key, st.name)
			}
		}
	}
}
