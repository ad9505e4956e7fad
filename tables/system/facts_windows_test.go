package system

import (
	"os"
	"testing"

	. "github.com/aiedr/edr/tables/tablestest"
)

func TestFactsOfThisWindows(t *testing.T) {
	r := Scan(t, OSVersion, Live(t))
	if r.Err != nil || len(r.Rows) != 1 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	Want(t, r.Rows[0], map[string]any{"platform": "windows", "major": 10, "minor": 0, "arch": "64-bit"})
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	i := Scan(t, SystemInfo, Live(t))
	if i.Err != nil || len(i.Rows) != 1 {
		t.Fatalf("%d rows, %v", len(i.Rows), i.Err)
	}
	row := i.Rows[0]
	Want(t, row, map[string]any{"hostname": host, "cpu_type": "x86_64"})
	if len(row["uuid"].(string)) != 36 || row["physical_memory"].(int64) <= 0 || row["cpu_logical_cores"].(int64) <= 0 ||
		row["cpu_physical_cores"].(int64) > row["cpu_logical_cores"].(int64) {
		t.Errorf("the row is %v, warnings %v", row, i.Warnings)
	}
	up := Scan(t, Uptime, Live(t))
	if up.Err != nil || len(up.Rows) != 1 || up.Rows[0]["total_seconds"].(int64) <= 0 {
		t.Errorf("uptime: %v, %v", up.Rows, up.Err)
	}
	now := Scan(t, Time, Live(t))
	if now.Err != nil || now.Rows[0]["win_timestamp"].(int64)/1e7-11644473600-now.Rows[0]["unix_time"].(int64) > 1 {
		t.Errorf("time: %v, %v", now.Rows, now.Err)
	}
}
