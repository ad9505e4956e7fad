package account

import (
	"os/user"
	"testing"

	. "github.com/aiedr/edr/tables/tablestest"
)

func TestUsersOfThisWindows(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	r := Scan(t, Users, Live(t))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	t.Log(r.Warnings)
	row := r.Find(t, "uuid", me.Uid)
	if row["username"] == "" || row["directory"] == "" {
		t.Errorf("%v", row)
	}
	if one := Scan(t, Users, Live(t), Equals("uuid", me.Uid)); len(one.Rows) != 1 || one.Err != nil {
		t.Errorf("by SID: %v, %v", one.Rows, one.Err)
	}
}
