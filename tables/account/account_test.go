package account

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

const passwd = `root:x:0:0:root:/root:/bin/bash
# a comment

broken line
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
bad:x:one:1::/:/bin/sh
nobody:x:4294967294:65534:nobody,,,:/nonexistent:/usr/sbin/nologin
+::::::
ann:x:1000:1000:Ann Ä:/home/ann:/bin/zsh`

func TestUsers(t *testing.T) {
	host := Host(t, map[string]string{"etc/passwd": passwd})
	r := Scan(t, Users, host)
	if r.Err != nil || len(r.Rows) != 4 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	Want(t, r.Find(t, "username", "nobody"), map[string]any{
		"uid": 4294967294, "uid_signed": -2, "gid": 65534, "gid_signed": 65534,
		"description": "nobody,,,", "directory": "/nonexistent", "shell": "/usr/sbin/nologin", "uuid": nil, "type": nil,
	})
	if len(r.Warnings) != 2 || !strings.Contains(r.Warnings[0].Error(), "line 4") || !strings.Contains(r.Warnings[1].Error(), `line 6: user ID "one"`) {
		t.Errorf("warnings: %v", r.Warnings)
	}
	for _, c := range []struct {
		con  tables.Constraint
		want int
	}{
		{Equals("uid", 0, 1000, 5), 2}, {Equals("username", "ann"), 1}, {Equals("uid", "0"), 1}, {Equals("username", "none"), 0},
	} {
		if r := Scan(t, Users, host, c.con); r.Err != nil || len(r.Rows) != c.want {
			t.Errorf("%v: %d rows, %v; want %d", c.con, len(r.Rows), r.Err, c.want)
		}
	}
	if r := Scan(t, Users, Host(t, nil)); !errors.Is(r.Err, fs.ErrNotExist) {
		t.Errorf("without a passwd: %v", r.Err)
	}
}

func TestGroups(t *testing.T) {
	host := Host(t, map[string]string{"etc/group": "root:x:0:\nsudo:x:27:ann,bob\nbroken\n\xff\xfe:x:9\nbig:x:4294967296:\n"})
	r := Scan(t, Groups, host)
	if r.Err != nil || len(r.Rows) != 2 || len(r.Warnings) != 3 {
		t.Fatalf("%d rows, %v, warnings %v", len(r.Rows), r.Err, r.Warnings)
	}
	Want(t, r.Find(t, "groupname", "sudo"), map[string]any{"gid": 27, "gid_signed": 27, "members": "ann,bob"})
	if r := Scan(t, Groups, host, Equals("gid", 27)); len(r.Rows) != 1 {
		t.Errorf("by gid: %d rows", len(r.Rows))
	}
}

func FuzzAccounts(f *testing.F) {
	for line := range strings.Lines(passwd) {
		f.Add(line)
	}
	f.Add("sudo:x:27:ann,bob")
	f.Fuzz(func(t *testing.T, line string) {
		if u, ok, err := parsePasswd(line); ok && (err != nil || u.Username == "" || u.UID < 0) {
			t.Errorf("%q gave %+v, %v", line, u, err)
		}
		if g, ok, err := parseGroup(line); ok && (err != nil || g.Groupname == "" || g.GID < 0) {
			t.Errorf("%q gave %+v, %v", line, g, err)
		}
	})
}
