package account

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables"
)

// User is a row of users.
type User struct {
	UID         int64              `col:"uid,index" doc:"User ID; on Windows the last part of the SID."`
	GID         int64              `col:"gid" doc:"ID of the user's primary group, unsigned."`
	UIDSigned   int64              `col:"uid_signed" doc:"User ID as a signed 32-bit number."`
	GIDSigned   int64              `col:"gid_signed" doc:"Group ID as a signed 32-bit number."`
	Username    string             `col:"username,additional" doc:"Login name."`
	Description string             `col:"description" doc:"The comment (GECOS) field: often the full name."`
	Directory   string             `col:"directory" doc:"Home directory."`
	Shell       string             `col:"shell" doc:"Login shell."`
	UUID        tables.Opt[string] `col:"uuid,index" doc:"SID on Windows; NULL on Linux."`
	Type        tables.Opt[string] `col:"type,hidden" doc:"Windows only: roaming, local or special; NULL elsewhere."`
	IsHidden    tables.Opt[int32]  `col:"is_hidden,hidden" doc:"macOS only; NULL elsewhere."`
	PIDWithNS   int32              `col:"pid_with_namespace,additional,hidden" doc:"Other namespaces are not read in this version: anything but 0 is an error."`
	Remote      int32              `col:"include_remote,additional,hidden" doc:"Remote accounts are not read in this version: anything but 0 is an error."`
}

// Users is the table of local user accounts.
var Users = tables.New(tables.Spec[User]{
	Name: "users", Doc: "Local user accounts, as /etc/passwd lists them; on Windows those of the account database and whoever has a profile.",
	Examples: []string{
		"SELECT * FROM users WHERE username = 'root'",
		"SELECT username, shell FROM users WHERE uid = 0 AND username != 'root'",
	},
	Class: tables.Inventory, Platforms: tables.Linux | tables.Windows,
	Scan: scanUsers,
})

func scanUsers(ctx context.Context, q *tables.Query) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		if err := q.Host.Needs(tables.Linux | tables.Windows); err != nil {
			yield(User{}, err)
			return
		}
		if err := q.Unbuilt("pid_with_namespace", "include_remote"); err != nil {
			yield(User{}, err)
			return
		}
		if runtime.GOOS == "windows" && q.Host.Root.Live() {
			liveUsers(q, func(u User) bool { return yield(u, nil) })
			return
		}
		data, err := q.Host.Root.ReadFile("/etc/passwd", maxAccountFile)
		if err != nil {
			yield(User{}, err)
			return
		}
		uids, byUID := q.Ints("uid")
		names, byName := q.Strings("username")
		for n, line := range lines(data) {
			p, ok, err := parsePasswd(line)
			if err != nil {
				q.Warn(fmt.Errorf("/etc/passwd line %d: %w", n, err))
			}
			if !ok || byUID && !slices.Contains(uids, p.UID) || byName && !slices.Contains(names, p.Username) {
				continue
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// parsePasswd reads one line of passwd(5). ok is false for a line that holds no
// account: empty, a comment, a NIS marker, or broken, which is an error.
func parsePasswd(line string) (u User, ok bool, err error) {
	if skippable(line) {
		return u, false, nil
	}
	f := strings.Split(line, ":")
	if len(f) != 7 {
		return u, false, fmt.Errorf("%d fields instead of 7", len(f))
	}
	if f[0] == "" {
		return u, false, fmt.Errorf("the user name is empty")
	}
	uid, err := parseID(f[2])
	if err != nil {
		return u, false, fmt.Errorf("user ID %w", err)
	}
	gid, err := parseID(f[3])
	if err != nil {
		return u, false, fmt.Errorf("group ID %w", err)
	}
	return User{
		UID: int64(uid), GID: int64(gid), UIDSigned: int64(int32(uid)), GIDSigned: int64(int32(gid)),
		Username: f[0], Description: f[4], Directory: f[5], Shell: f[6],
	}, true, nil
}
