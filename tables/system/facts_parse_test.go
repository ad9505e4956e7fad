package system

import "testing"

func TestProductName(t *testing.T) {
	for _, c := range []struct {
		name  string
		build uint32
		want  string
	}{{"Windows 10 Pro", 19045, "Windows 10 Pro"}, {"Windows 10 Pro", 22631, "Windows 11 Pro"}, {"Windows Server 2022 Standard", 20348, "Windows Server 2022 Standard"}, {"", 1, "Windows"}} {
		if got := productName(c.name, c.build); got != c.want {
			t.Errorf("%s build %d: %s", c.name, c.build, got)
		}
	}
}

func TestCountRecords(t *testing.T) {
	two := []byte{0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 1, 2, 3, 4}
	if n, err := countRecords(two); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range [][]byte{two[:10], {0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 255, 255, 255, 255}} {
		if n, err := countRecords(bad); err == nil {
			t.Errorf("% x: %d records", bad, n)
		}
	}
}
