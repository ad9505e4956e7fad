package agent

import (
	"testing"
	"time"

	"github.com/aiedr/edr/tables/event"
)

func TestRegistryRules(t *testing.T) {
	d, k := newDetector(t, "observe", `[
		{"id":"run-key","name":"run key","type":"registry","severity":"high","enabled":true,"match":"all",
		 "conditions":["key endswith '\\CurrentVersion\\Run'","data contains '\\temp\\'","action in ('created', 'modified')"],"actions":["alert"]},
		{"id":"any-process","name":"p","type":"process","severity":"low","enabled":true,"conditions":["pid >= 0"],"actions":["alert"]}]`)
	change := func(action, key, data string) *event.Registry {
		e := &event.Registry{Action: action, Key: key, Value: "Updater", DataType: "REG_SZ", Data: data, Category: "autostart"}
		e.At(time.Unix(1_700_000_100, 0))
		return e
	}
	const run = `HKEY_USERS\S-1-5-21-1\Software\Microsoft\Windows\CurrentVersion\Run`
	d.see(change("created", run, `C:\Temp\x.exe`), change("deleted", run, `C:\Temp\x.exe`),
		change("created", run, `C:\Program Files\x.exe`), change("created", run+`Once`, `C:\Temp\x.exe`))
	if len(k.hits) != 1 {
		t.Fatalf("%d hits, want 1: %+v", len(k.hits), k.hits)
	}
	h := k.hits[0]
	if h.Rule.ID != "run-key" || h.Table != "registry_events" || h.Process != nil || h.Entity != run+`\Updater` {
		t.Errorf("the hit is %+v", h)
	}
	fields := map[string]string{}
	for _, f := range h.Event {
		fields[f.Name] = f.Value.String()
	}
	if fields["data"] != `C:\Temp\x.exe` || fields["value"] != "Updater" || fields["action"] != "created" {
		t.Errorf("its event is %v", fields)
	}
}
