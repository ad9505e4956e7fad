package regsensor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/windows/registry"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// scratch is a key of the test's own, removed at its end.
func scratch(t *testing.T) (below, full string) {
	t.Helper()
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		t.Fatal(err)
	}
	below = `Software\edr test ` + hex.EncodeToString(id[:])
	k, _, err := registry.CreateKey(registry.CURRENT_USER, below, registry.ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	t.Cleanup(func() {
		if out, err := exec.Command("reg", "delete", `HKCU\`+below, "/f").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return below, `HKEY_CURRENT_USER\` + below
}

// reg is another process that writes to the registry.
func reg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("reg", args...).CombinedOutput(); err != nil {
		t.Fatalf("reg %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func begin(t *testing.T, o Options) (*told, sensor.Running) {
	t.Helper()
	spec, err := Spec(o)
	if err != nil {
		t.Fatal(err)
	}
	if spec.Mechanisms[0].Name() != "regnotify" {
		t.Fatalf("the first mechanism is %s", spec.Mechanisms[0].Name())
	}
	out := newTold()
	r, err := spec.Mechanisms[0].Start(context.Background(), out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if r.Err() != nil {
			t.Error(r.Err())
		}
	})
	return out, r
}

// TestAnotherProcess holds the sensor to what another process does to a key of
// -regs that is there, to one that is not there yet, and to one below.
func TestAnotherProcess(t *testing.T) {
	_, full := scratch(t)
	out, _ := begin(t, Options{Keys: []string{full + `\There`, full + `\Not\Yet`}})
	is := func(action, value, data string) func(*event.Registry) bool {
		return func(e *event.Registry) bool {
			return e.Action == action && e.Value == value && e.Data == data && e.Source == "regnotify" && e.Category == "regs"
		}
	}
	reg(t, "add", full+`\There`, "/v", "a", "/d", "one", "/f")
	out.wait(t, "created", is("created", "a", "one"))
	reg(t, "add", full+`\There`, "/v", "a", "/d", "two", "/f")
	if e := out.wait(t, "modified", is("modified", "a", "two")); e.OldData != "one" || e.DataType != "REG_SZ" {
		t.Errorf("%+v", e)
	}
	reg(t, "add", full+`\Not\Yet\Below`, "/v", "n", "/t", "REG_DWORD", "/d", "77", "/f")
	out.wait(t, "in a key that was not there", is("created", "n", "77"))
	reg(t, "delete", full+`\There`, "/f")
	out.wait(t, "deleted value", is("deleted", "a", "two"))
	reg(t, "add", full+`\There`, "/v", "again", "/d", "x", "/f")
	out.wait(t, "in a key that was deleted and made again", is("created", "again", "x"))
}

// TestAutostartOfThisMachine uses the machine's own Run keys, with values of
// the test's own.
func TestAutostartOfThisMachine(t *testing.T) {
	out, r := begin(t, Options{})
	if text, _ := r.(sensor.Describer).Describe(); !strings.Contains(text, "places") {
		t.Errorf("described as %q", text)
	}
	for _, key := range []string{
		`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`,
		`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\edr-test.exe`,
		`HKLM\SYSTEM\CurrentControlSet\Services\edr-test`,
		`HKCU\Software\Microsoft\Windows\CurrentVersion\RunOnce`,
	} {
		t.Cleanup(func() {
			if strings.HasSuffix(key, "Run") || strings.HasSuffix(key, "RunOnce") {
				reg(t, "delete", key, "/v", "edr-test", "/f")
			} else {
				reg(t, "delete", key, "/f")
			}
		})
		reg(t, "add", key, "/v", "edr-test", "/d", `C:\Windows\Temp\x.exe`, "/f")
		e := out.wait(t, "in "+key, func(e *event.Registry) bool {
			return e.Value == "edr-test" && strings.EqualFold(e.Key[strings.LastIndexByte(e.Key, '\\'):], key[strings.LastIndexByte(key, '\\'):])
		})
		if e.Action != "created" || e.Category != "autostart" {
			t.Errorf("%+v", e)
		}
		if strings.HasPrefix(key, "HKCU") && !strings.HasPrefix(e.Key, `HKEY_USERS\S-1-5-`) {
			t.Errorf("a user's key is named %s", e.Key)
		}
	}
}
