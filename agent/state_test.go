package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestStateSurvivesAndCorruptionIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "configuration.json")
	type state struct{ Serial int }
	var got state
	if found, err := readState(path, &got, time.Now()); found || err != nil {
		t.Fatalf("a missing file: %v, %v", found, err)
	}
	if err := writeState(path, state{7}); err != nil {
		t.Fatal(err)
	}
	if found, err := readState(path, &got, time.Now()); !found || err != nil || got.Serial != 7 {
		t.Fatalf("read back %+v, %v, %v", got, found, err)
	}
	if err := os.WriteFile(path, []byte(`{"Serial":`), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := readState(path, &got, time.Unix(0, 0))
	if found || err == nil || !strings.Contains(err.Error(), "set aside as configuration.json.corrupt-19700101T000000Z") {
		t.Fatalf("a corrupt file: %v, %v", found, err)
	}
	if b, err := os.ReadFile(path + ".corrupt-19700101T000000Z"); err != nil || string(b) != `{"Serial":` {
		t.Errorf("what was set aside: %q, %v", b, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left, want the one set aside", len(left))
	}
}
