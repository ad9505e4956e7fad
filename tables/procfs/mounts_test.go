package procfs

import "testing"

func TestParseMount(t *testing.T) {
	m, err := ParseMount([]byte(`//host/a\040b /mnt/a\040b\134c\011d cifs rw,relatime 0 0`))
	if err != nil || m != (Mount{Device: "//host/a b", Path: "/mnt/a b\\c\td", Type: "cifs", Options: "rw,relatime"}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := ParseMount([]byte(`x\777 /\04 t \`)); err != nil || m.Device != `x\777` || m.Path != `/\04` || m.Options != `\` {
		t.Errorf("what is no escape: %+v, %v", m, err)
	}
	for _, bad := range []string{"", "proc", "proc /proc proc"} {
		if _, err := ParseMount([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a mount", bad)
		}
	}
}

func TestParseLimit(t *testing.T) {
	l, err := ParseLimit([]byte("Max open files            1024                 524288               files     "))
	if err != nil || l != (Limit{"Max open files", 1024, 524288}) {
		t.Errorf("%+v, %v", l, err)
	}
	l, err = ParseLimit([]byte("Max nice priority         0                    unlimited            "))
	if err != nil || l != (Limit{"Max nice priority", 0, Unlimited}) {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range []string{"", "Limit                     Soft Limit           Hard Limit           Units     ", "Max open files            1024"} {
		if _, err := ParseLimit([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a limit", bad)
		}
	}
}
